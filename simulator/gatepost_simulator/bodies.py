"""The shapes an error body comes in: JSON of four kinds, text, HTML, nothing."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from gatepost_simulator.exchange import JSON_TYPE, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_simulator.exchange import Header, Refusal


class Shape(StrEnum):
    """An error body's shape; the letters are those of the reference page."""

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
    """Give an error answer of the shape asked for; `members` are added to JSON bodies."""
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


def refusal_answer(refusal: Refusal) -> Answer:
    """Give the normal answer (shape A) for a refusal."""
    return error_answer(
        Shape.A,
        refusal.status,
        refusal.error,
        refusal.description,
        members=refusal.members,
        headers=refusal.headers,
        delay_s=refusal.delay_s,
    )


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
