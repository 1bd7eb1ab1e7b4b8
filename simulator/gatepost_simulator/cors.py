"""Cross-origin rules: the preflight, and the headers that let a page read an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_simulator.exchange import Answer

if TYPE_CHECKING:
    from gatepost_simulator.exchange import Header, Request
    from gatepost_simulator.tenant import Tenant

_EXPOSED = b"X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, DPoP-Nonce"
_DEFAULT_HEADERS = b"authorization, content-type, auth0-client, x-request-language, dpop"


def allow_origin(tenant: Tenant, request: Request) -> tuple[Header, ...]:
    """Return the headers for an answer to a page, or none if its origin is not allowed."""
    origin = request.headers.get(b"origin", b"")
    allowed = tenant.settings.allowed_origins
    if not origin or ("*" not in allowed and origin.decode("latin-1") not in allowed):
        return ()
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"Origin"),
    )


def preflight(request: Request) -> Answer:
    """Answer OPTIONS."""
    asked = request.headers.get(b"access-control-request-headers", _DEFAULT_HEADERS)
    headers = (
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", asked),
        (b"access-control-max-age", b"86400"),
    )
    return Answer(204, b"", b"", headers if b"origin" in request.headers else ())
