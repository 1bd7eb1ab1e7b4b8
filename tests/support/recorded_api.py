"""An HTTP API that records the console's requests and gives prepared answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002 - Starlette calls it
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class RecordedApi:
    """The requests so far, as method, path, operator and body, and the answers by path."""

    requests: list[tuple[str, str, str, Any]] = field(default_factory=list)
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def app(self) -> Starlette:
        """Return it as an ASGI app."""
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "DELETE"])])

    async def _answer(self, request: Request) -> Response:
        body = json.loads(await request.body() or "null")
        who = request.headers.get("gatepost-actor", "")
        self.requests.append((request.method, request.url.path, who, body))
        status, answer = self.answers.get(request.url.path, (200, {}))
        return JSONResponse(answer, status)
