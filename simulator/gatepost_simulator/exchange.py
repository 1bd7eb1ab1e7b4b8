"""The request that endpoints read, the answer that they return, the refusal that they raise, and error bodies."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatepost_simulator.buckets import TokenBucket

Header = tuple[bytes, bytes]
JSON_TYPE = b"application/json; charset=utf-8"


@dataclass(slots=True)
class Request:
    """A request, and the facts that the simulator adds while it handles it."""

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
        """Return a header's value, or an empty string."""
        return self.headers.get(name, b"").decode("latin-1")

    def text(self, name: str) -> str:
        """Return a parameter if it is a string, else an empty string (JSON null counts as absent)."""
        value = self.parameters.get(name)
        return value if isinstance(value, str) else ""


class Drop(StrEnum):
    """How a connection ends without an answer."""

    NO = "no"
    CLOSE = "close"  # closed, not a byte sent
    RESET = "reset"  # reset by TCP RST, not a byte sent
    TRUNCATE = "truncate"  # closed after the headers and half of the body
    HANG = "hang"  # stays open, and nothing is sent


@dataclass(slots=True)
class Answer:
    """A response before the rate-limit headers are added, and the name of the fault that shaped it, if any."""

    status: int
    body: bytes
    content_type: bytes = JSON_TYPE
    headers: tuple[Header, ...] = ()
    error: str = ""
    delay_s: float = 0.0
    drop: Drop = Drop.NO
    fault: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any], status: int = 200, headers: tuple[Header, ...] = ()) -> Answer:
        """Return a JSON answer."""
        return cls(status, orjson.dumps(document), headers=headers)


class Refusal(Exception):
    """The endpoint answers with an error, in shape A."""

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
        self.error = error
        self.description = description
        self.answer = error_answer(
            Shape.A, status, error, description, members=members, headers=headers, delay_s=delay_s
        )


class Shape(StrEnum):
    """The shape of an error body; the letters are those of docs/reference/simulator-faults.md."""

    A = "A"  # {error, error_description}: what both endpoints normally answer
    B = "B"  # {name, code, description, statusCode}: older endpoints
    B_OBJECT = "B-object"  # the same with an object as description
    C = "C"  # {statusCode, error, message, errorCode}: Management style
    D = "D"  # {error}
    D_CODE = "D-code"  # {code, error_description}
    TEXT = "text"  # E: plain text
    HTML = "html"  # E: a proxy's page
    EMPTY = "empty"  # E: no body at all


_HTML = b"<html><head><title>%b</title></head><body><center><h1>%b</h1></center><hr></body></html>"


def error_answer(
    shape: Shape,
    status: int,
    error: str,
    description: str = "",
    *,
    members: Mapping[str, Any] | None = None,
    headers: tuple[Header, ...] = (),
    delay_s: float = 0.0,
) -> Answer:
    """Return an error answer of the given shape; `members` are added to JSON bodies."""
    content_type = JSON_TYPE
    match shape:
        case Shape.EMPTY:
            content_type, body = b"", b""
        case Shape.TEXT:
            content_type, body = b"text/plain; charset=utf-8", (description or _phrase(status)).encode()
        case Shape.HTML:
            title = f"{status} {_phrase(status)}".encode()
            content_type, body = b"text/html; charset=utf-8", _HTML % (title, title)
        case _:
            body = orjson.dumps({**_document(shape, status, error, description), **(members or {})})
    return Answer(status, body, content_type, headers, error, delay_s)


def _document(shape: Shape, status: int, error: str, description: str) -> dict[str, Any]:
    match shape:
        case Shape.B:
            name = _phrase(status).replace(" ", "") + "Error"
            return {"name": name, "code": error, "description": description, "statusCode": status}
        case Shape.B_OBJECT:
            detail = {"rules": [{"message": description, "code": error}], "verified": False}
            return {**_document(Shape.B, status, error, description), "description": detail}
        case Shape.C:
            return {"statusCode": status, "error": _phrase(status), "message": description, "errorCode": error}
        case Shape.D:
            return {"error": error}
        case Shape.D_CODE:
            return {"code": error, "error_description": description}
        case _:
            return {"error": error, "error_description": description}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
