"""A transport adapter, by requests' documented interface, that answers from a script and records its requests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from collections.abc import Mapping


STARTED = b'{"_id": "6492b5a75bedeae7449299fa", "email": "user@example.com", "email_verified": false}'


@dataclass
class Sent:
    """One request as the adapter got it."""

    request: PreparedRequest
    options: dict[str, Any]

    @property
    def body(self) -> bytes:
        body = self.request.body or b""
        assert isinstance(body, bytes)
        return body

    @property
    def json(self) -> dict[str, Any]:
        members: dict[str, Any] = json.loads(self.body)
        return members

    @property
    def form(self) -> dict[str, str]:
        fields = parse_qs(self.body.decode(), keep_blank_values=True, strict_parsing=True)
        return {name: values[0] for name, values in fields.items()}


@dataclass
class Answer:
    """One scripted answer."""

    status: int = 200
    body: bytes | dict[str, Any] = STARTED
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, request: PreparedRequest) -> Response:
        response = Response()
        response.status_code = self.status
        response.headers = CaseInsensitiveDict(self.headers)
        response.raw = BytesIO(self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode())
        response.request = request
        response.url = str(request.url)
        return response


class ScriptedAdapter(BaseAdapter):
    """Gives the script's answers in order, the last one again and again; an exception in it is raised."""

    def __init__(self, *script: Answer | Exception) -> None:
        super().__init__()
        self.script = list(script) or [Answer()]
        self.sent: list[Sent] = []
        self.closed = False

    def send(self, request: PreparedRequest, **options: Any) -> Response:  # type: ignore[override]  # keywords are how requests calls it
        self.sent.append(Sent(request, options))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return step.response(request)

    def close(self) -> None:
        self.closed = True
