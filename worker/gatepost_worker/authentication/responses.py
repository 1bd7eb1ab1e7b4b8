"""The responses that the client returns, and the HTTP response under them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_worker.authentication.rate_limits import RateLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """An HTTP response, read to its end. Its representation leaves out headers and body.

    Attributes:
        status: the HTTP status.
        headers: looked up without regard to case.
        body: the whole body.
        sent_at: when the request left, on the monotonic clock.
        received_at: when the response was complete, on the monotonic clock.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_at: float | None = None
    received_at: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is a success (2xx); a redirect is not."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the bounds of RFC 9110's class "successful"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartResponse:
    """Auth0 accepted a start. Acceptance is not delivery: the message may still be lost on its way.

    Attributes:
        status: the HTTP status, 200 or 201.
        rate_limits: the quota that the headers state.
        id: Auth0's `_id`, for correlation only; neither a message id nor an idempotency key.
        request_language: the language of the chosen template (SMS).
        email_verified: whether Auth0 considers the address verified.
        phone_verified: whether Auth0 considers the number verified.
    """

    status: int
    rate_limits: RateLimits
    id: str | None = None
    request_language: str | None = None
    email_verified: bool | None = None
    phone_verified: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """The tokens of a login. The representation shows none of them.

    Attributes:
        access_token: opaque or a JWT.
        token_type: `Bearer`, in this spelling whatever the response's.
        rate_limits: the quota that the headers state.
        status: the HTTP status, 200.
        expires_in: the access token's lifetime, in seconds.
        id_token: the JWT, if the scope had `openid`.
        refresh_token: present if the scope had `offline_access` and the API allows it.
        scope: the scope granted, where Auth0 states it.
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
