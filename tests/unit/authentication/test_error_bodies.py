"""Reading an error's body in every shape."""

from __future__ import annotations

import json

import pytest

from gatepost_worker.authentication.response_bodies import TEXT_LIMIT, parse_error_body


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        pytest.param({"error": "invalid_grant", "error_description": "Wrong."}, "invalid_grant", "Wrong.", id="A"),
        pytest.param(
            {"name": "BadRequestError", "code": "bad.email", "description": "No.", "statusCode": 400},
            "bad.email",
            "No.",
            id="B",
        ),
        pytest.param(
            {"code": "invalid_password", "description": {"rules": ["long"]}},
            "invalid_password",
            '{"rules": ["long"]}',
            id="B with an object",
        ),
        pytest.param(
            {
                "statusCode": 429,
                "error": "Too Many Requests",
                "message": "Global limit",
                "errorCode": "too_many_requests",
            },
            "too_many_requests",
            "Global limit",
            id="C",
        ),
        pytest.param(
            {"statusCode": 429, "error": "Too Many Requests"}, "Too Many Requests", "Too Many Requests", id="C bare"
        ),
        pytest.param({"error": "server_error"}, "server_error", "server_error", id="D error alone"),
        pytest.param({"code": "server_error", "error_description": "Sorry"}, "server_error", "Sorry", id="D code"),
        pytest.param({"errorCode": "a", "error": "b", "code": "c"}, "a", "b", id="errorCode comes first"),
        pytest.param({"error": "b", "code": "c"}, "b", "b", id="then error"),
        pytest.param({"error": "", "code": "c"}, "c", "", id="an empty member does not count"),
        pytest.param(
            {"error": "e", "error_description": "1", "description": "2", "message": "3"}, "e", "1", id="text precedence"
        ),
        pytest.param({"error": "e", "description": "2", "message": "3"}, "e", "2", id="text precedence, second"),
        pytest.param({}, None, "", id="an empty object"),
        pytest.param({"error": {"nested": 1}}, None, '{"nested": 1}', id="an object for a code"),
        pytest.param({"error": "someone@example.com"}, None, "someone@example.com", id="an address is no code"),
        pytest.param({"error": "Jane Doe"}, None, "Jane Doe", id="nor is a name"),
        pytest.param({"error": "custom_error_7"}, "custom_error_7", "custom_error_7", id="a code with a digit"),
        pytest.param({"error": "oauth2_error"}, "oauth2_error", "oauth2_error", id="a digit within a code"),
        pytest.param({"error": "pin_1234"}, None, "pin_1234", id="four digits could be a one-time code"),
        pytest.param({"error": "e_1_2_3_4"}, None, "e_1_2_3_4", id="four digits apart as well"),
        pytest.param({"error": "+49170123456"}, None, "+49170123456", id="a number is no code"),
        pytest.param({"error": "Not a code", "code": "c"}, "c", "Not a code", id="the first that is a code"),
        pytest.param({"error": "x" * 65}, None, "x" * 65, id="a long text is no code"),
    ],
)
def test_the_members_are_read_by_javas_precedence(body: object, code: str | None, text: str) -> None:
    """Codes: errorCode, error, code; texts: error_description, description, message, error."""
    read = parse_error_body(json.dumps(body).encode())

    assert (read.code, read.text) == (code, text)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"Bad Gateway", "Bad Gateway"),
        (b"<html><h1>403</h1></html>", "<html><h1>403</h1></html>"),
        (b'"text"', '"text"'),
        (b"[1]", "[1]"),
        (b"null", "null"),
        (b"\xff\xfe", "��"),
        (b"[" * 100_000, "[" * TEXT_LIMIT),
    ],
)
def test_what_is_not_an_object_is_text_without_a_code(body: bytes, text: str) -> None:
    """Shape E: plain text, HTML, nothing, or anything at all."""
    read = parse_error_body(body)

    assert (read.code, read.text, read.members) == (None, text, {})


def test_the_text_is_capped() -> None:
    """A proxy's page does not fill the memory of a worker."""
    assert len(parse_error_body(b"x" * 100_000).text) == TEXT_LIMIT
    assert len(parse_error_body(json.dumps({"error": "e", "message": "x" * 100_000}).encode()).text) == TEXT_LIMIT


def test_the_text_is_not_printed() -> None:
    """It can hold the address."""
    assert "someone" not in repr(parse_error_body(b'{"error":"bad.email","error_description":"someone@example.com"}'))


def test_codes_compare_in_normal_form() -> None:
    """Management-style errors write words where others write a code."""
    assert parse_error_body(b'{"error":"Too Many Requests"}').normal_code == "too_many_requests"
    assert parse_error_body(b"").normal_code == ""
