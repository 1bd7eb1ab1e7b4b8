"""A request as the endpoints see it, an answer as they give it, and the refusal they raise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatepost_simulator.buckets import TokenBucket

Header = tuple[bytes, bytes]
JSON_TYPE = b"application/json; charset=utf-8"


@dataclass(slots=True)
class Request:
    """What came over the wire, and what the way through the simulator has found out about it."""

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    peer: str
    certificate: Callable[[], bytes | None] = lambda: None
    parameters: dict[str, Any] = field(default_factory=dict)
    recipient: str = ""
    client_id: str = ""
    authentication: str = "none"
    ip: str = ""
    bucket: TokenBucket | None = None
    client_bucket: TokenBucket | None = None

    def header(self, name: bytes) -> str:
        """Give a header's value, or an empty string."""
        return self.headers.get(name, b"").decode("latin-1")

    def text(self, name: str) -> str:
        """Give a parameter if it is a string, else an empty string (JSON null counts as absent)."""
        value = self.parameters.get(name)
        return value if isinstance(value, str) else ""


@dataclass(slots=True)
class Answer:
    """A response before the rate-limit headers are added."""

    status: int
    body: bytes
    content_type: bytes = JSON_TYPE
    headers: tuple[Header, ...] = ()
    error: str = ""
    delay_s: float = 0.0

    @classmethod
    def of(cls, document: Mapping[str, Any], status: int = 200, headers: tuple[Header, ...] = ()) -> Answer:
        """Give a JSON answer."""
        return cls(status, orjson.dumps(document), headers=headers)


class Refusal(Exception):
    """The endpoint answers something other than success."""

    def __init__(
        self,
        status: int,
        error: str,
        description: str = "",
        *,
        members: Mapping[str, Any] | None = None,
        headers: tuple[Header, ...] = (),
        delay_s: float = 0.0,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description
        self.members = members or {}
        self.headers = headers
        self.delay_s = delay_s
