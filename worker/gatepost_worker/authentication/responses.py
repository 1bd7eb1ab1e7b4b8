"""What a successful call gives."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gatepost_worker.authentication.errors import StartResponseUnreadable, TokenResponseUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_worker.authentication.rate_limits import RateLimits


# JSON can spell half of a surrogate pair, which is no text: it could not be sealed, nor sent on.
_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")
_LARGEST: Final = 1 << 53
_RECIPIENTS: Final = ("email", "phone_number")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartResponse:
    """Auth0 accepted a start. That is not delivery: a message may still be lost on its way.

    Attributes:
        status: the HTTP status, 200 or 201.
        rate_limits: what the headers say of the quota.
        id: Auth0's `_id`, for correlation only; not a message id and not an idempotency key.
        request_language: the language that the template was chosen by (SMS).
        email_verified: whether Auth0 holds the address for verified.
        phone_verified: whether Auth0 holds the number for verified.
    """

    status: int
    rate_limits: RateLimits
    id: str | None = None
    request_language: str | None = None
    email_verified: bool | None = None
    phone_verified: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """The tokens of a login. Printing shows none of them.

    Attributes:
        access_token: opaque or a JWT.
        token_type: `Bearer`, whatever its case on the wire.
        rate_limits: what the headers say of the quota.
        status: the HTTP status, 200.
        expires_in: the access token's life, in seconds.
        id_token: the JWT, if the scope had `openid`.
        refresh_token: if the scope had `offline_access` and the API allows it.
        scope: the scope granted, where Auth0 says it.
        claims: the id_token's claims, once it has been verified.
    """

    access_token: str = field(repr=False)
    token_type: str
    rate_limits: RateLimits
    status: int = 200
    expires_in: int | None = None
    id_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scope: str | None = None
    claims: Mapping[str, Any] | None = field(default=None, repr=False)


def parse_start_response(status: int, body: bytes, rate_limits: RateLimits) -> StartResponse:
    """Return the response of a successful start.

    Raises:
        StartResponseUnreadable: the body is not Auth0's, an object with `_id` and the recipient. A message may have gone out.

    Source: https://auth0.com/docs/api/authentication (Passwordless; Get code or link).
    """
    members = _members(body)
    if members.get("error") or not _text(members.get("_id")) or not any(map(_text, map(members.get, _RECIPIENTS))):
        raise StartResponseUnreadable(status=status, rate_limits=rate_limits)
    return StartResponse(
        status=status,
        rate_limits=rate_limits,
        id=_text(members.get("_id")),
        request_language=_text(members.get("request_language")),
        email_verified=_truth(members.get("email_verified")),
        phone_verified=_truth(members.get("phone_verified")),
    )


def parse_token_response(status: int, body: bytes, rate_limits: RateLimits) -> TokenResponse:
    """Return the response of a successful login, its id_token not yet verified.

    Raises:
        TokenResponseUnreadable: the body is not a JSON object with an access token. The code may be spent.
    """
    members = _members(body)
    access_token = _text(members.get("access_token"))
    if not access_token or members.get("error"):
        raise TokenResponseUnreadable(status=status, rate_limits=rate_limits)
    token_type = _text(members.get("token_type")) or "Bearer"
    return TokenResponse(
        access_token=access_token,
        token_type="Bearer" if token_type.lower() == "bearer" else token_type,
        rate_limits=rate_limits,
        status=status,
        expires_in=_whole(members.get("expires_in")),
        id_token=_text(members.get("id_token")) or None,
        refresh_token=_text(members.get("refresh_token")) or None,
        scope=_text(members.get("scope")),
    )


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and not _HALF_PAIR.search(value) else None


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    if isinstance(value, str) and len(value) < len(str(_LARGEST)) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # Python's JSON has infinities and NaN; neither is within any bounds.
    return int(value) if -_LARGEST < value < _LARGEST else None
