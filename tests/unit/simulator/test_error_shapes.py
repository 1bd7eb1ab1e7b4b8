"""Error bodies: each shape has the members the reference names."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gatepost_simulator.exchange import Shape, error_answer


@pytest.mark.parametrize(
    ("shape", "document"),
    [
        (Shape.A, {"error": "oops", "error_description": "why"}),
        (Shape.B, {"name": "BadRequestError", "code": "oops", "description": "why", "statusCode": 400}),
        (Shape.C, {"statusCode": 400, "error": "Bad Request", "message": "why", "errorCode": "oops"}),
        (Shape.D, {"error": "oops"}),
        (Shape.D_CODE, {"code": "oops", "error_description": "why"}),
    ],
)
def test_json_shapes(shape: Shape, document: dict[str, Any]) -> None:
    """The JSON shapes A to D."""
    answer = error_answer(shape, 400, "oops", "why")

    assert orjson.loads(answer.body) == document


def test_a_description_can_be_an_object() -> None:
    """Shape B comes with an object as description, too."""
    document = orjson.loads(error_answer(Shape.B_OBJECT, 400, "oops", "why").body)

    assert isinstance(document["description"], dict)


@pytest.mark.parametrize(
    ("shape", "start", "content_type"),
    [(Shape.TEXT, b"why", b"text/plain"), (Shape.HTML, b"<html>", b"text/html"), (Shape.EMPTY, b"", b"")],
)
def test_shapes_that_are_not_json(shape: Shape, start: bytes, content_type: bytes) -> None:
    """Shape E: text, a proxy's page, nothing."""
    answer = error_answer(shape, 502, "oops", "why")

    assert answer.body.startswith(start)
    assert answer.content_type.startswith(content_type)
    assert bool(answer.body) == (shape is not Shape.EMPTY)


def test_members_join_the_document() -> None:
    """mfa_token and its like are members of the error."""
    document = orjson.loads(error_answer(Shape.A, 403, "mfa_required", members={"mfa_token": "t"}).body)

    assert document["mfa_token"] == "t"


def test_a_status_without_a_name_has_one_anyway() -> None:
    """Statuses that HTTP does not name are possible."""
    assert b"520 Error" in error_answer(Shape.HTML, 520, "oops").body
