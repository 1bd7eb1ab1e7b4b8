"""Reads response bodies: of a start, of a login, and of an error in each of its shapes.

Shapes of an error: A `{error, error_description}`; B `{name, code, description}`, whose description may be an object; C `{statusCode,
error, message, errorCode}`; D `{error}` alone or `{code, error_description}`; E plain text, HTML or nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from gatepost_worker.authentication.errors import StartResponseUnreadable, TokenResponseUnreadable
from gatepost_worker.authentication.responses import StartResponse, TokenResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_worker.authentication.rate_limits import RateLimits

TEXT_LIMIT: Final = 2048
_CODE_LIMIT: Final = 64
_NESTING_LIMIT: Final = 64
_INTEGER_LIMIT: Final = 1 << 53
# Words, and at most three digits in all: a code is printed, and more digits could be a token, a one-time code or a phone number.
_CODE: Final = re.compile(r"[A-Za-z]{1,32}\d*(?:[_.\-](?:[A-Za-z]{1,32}\d*|\d+))*", re.ASCII)
_DIGIT_LIMIT: Final = 3
# In shape C, `error` is a phrase such as "Too Many Requests".
_PHRASES: Final = frozenset(status.phrase for status in HTTPStatus)
_CODE_MEMBERS: Final = ("errorCode", "error", "code")
_TEXT_MEMBERS: Final = ("error_description", "description", "message", "error")
_RECIPIENT_MEMBERS: Final = ("email", "phone_number")
# JSON can spell half of a surrogate pair. It cannot be encoded, so it could be neither sealed nor sent.
_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The body of an error.

    Attributes:
        code: the error code as written, at most 64 characters; None if there is none that is safe to show.
        coded: whether the body has an error code, safe to show or not.
        text: the human text, at most 2048 characters. It can hold the address and is never printed.
        members: the JSON object's members; empty for shape E.
    """

    code: str | None = None
    coded: bool = False
    text: str = field(default="", repr=False)
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def normal_code(self) -> str:
        """The code for comparisons: lower case, spaces as underscores, empty if there is none."""
        return (self.code or "").lower().replace(" ", "_")


def parse_start_response(status: int, body: bytes, rate_limits: RateLimits) -> StartResponse:
    """Return the response to a successful start.

    Raises:
        StartResponseUnreadable: the body is not Auth0's object with `_id` and the recipient. A message may have been sent.

    Source: https://auth0.com/docs/api/authentication (Passwordless; Get code or link).
    """
    members = _members(body) or {}
    identifier, recipients = _text(members.get("_id")), [_text(members.get(name)) for name in _RECIPIENT_MEMBERS]
    if members.get("error") or not identifier or not any(recipients):
        raise StartResponseUnreadable(status=status, rate_limits=rate_limits)
    return StartResponse(
        status=status,
        rate_limits=rate_limits,
        id=identifier,
        request_language=_text(members.get("request_language")),
        email_verified=_boolean(members.get("email_verified")),
        phone_verified=_boolean(members.get("phone_verified")),
    )


def parse_token_response(status: int, body: bytes, rate_limits: RateLimits) -> TokenResponse:
    """Return the response to a successful login. Its id_token is not verified.

    Raises:
        TokenResponseUnreadable: the body is not a JSON object with an access token. The code may be spent.
    """
    members = _members(body) or {}
    access_token = _text(members.get("access_token"))
    if not access_token or members.get("error"):
        raise TokenResponseUnreadable(status=status, rate_limits=rate_limits)
    token_type = _text(members.get("token_type")) or "Bearer"
    return TokenResponse(
        access_token=access_token,
        token_type="Bearer" if token_type.lower() == "bearer" else token_type,
        rate_limits=rate_limits,
        status=status,
        expires_in=_integer(members.get("expires_in")),
        id_token=_text(members.get("id_token")) or None,
        refresh_token=_text(members.get("refresh_token")) or None,
        scope=_text(members.get("scope")),
    )


def parse_error_body(body: bytes) -> ErrorBody:
    """Return an error's code and text. The precedence of members is auth0-java's.

    Args:
        body: the body as received; any bytes are allowed.
    """
    members = _members(body)
    if members is None:
        return ErrorBody(text=body[: 4 * TEXT_LIMIT].decode("utf-8", "replace")[:TEXT_LIMIT])
    codes = [members[name] for name in _CODE_MEMBERS if members.get(name) and isinstance(members[name], str)]
    text = next((members[name] for name in _TEXT_MEMBERS if members.get(name)), "")
    text = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    return ErrorBody(
        code=next(filter(_is_code, codes), None),
        coded=bool(codes),
        text=text[:TEXT_LIMIT].encode("utf-8", "replace").decode(),
        members=members,
    )


def is_storable(value: object) -> bool:
    """Return whether a value can be written as JSON again: finite numbers, no half of a surrogate pair, at most 64 levels."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return _is_within(value, _NESTING_LIMIT)


def _is_within(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_within(one, levels - 1) for one in inner)


def _is_code(text: str) -> bool:
    if text in _PHRASES:
        return True
    return len(text) <= _CODE_LIMIT and sum(map(str.isdigit, text)) <= _DIGIT_LIMIT and bool(_CODE.fullmatch(text))


def _members(body: bytes) -> dict[str, Any] | None:
    try:
        members = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and not _HALF_PAIR.search(value) else None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _integer(value: object) -> int | None:
    if isinstance(value, str) and len(value) < len(str(_INTEGER_LIMIT)) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # Python's JSON accepts infinities and NaN, which this comparison refuses.
    return int(value) if -_INTEGER_LIMIT < value < _INTEGER_LIMIT else None
