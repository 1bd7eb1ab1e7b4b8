"""Tells requests of the console's own pages from those that another site makes a browser send.

Three checks, because each has gaps: `Sec-Fetch-Site` (old browsers lack it), `Origin` (the fallback), and a token in each form or in the
header of each htmx request. The token is derived from the session's cookie, so it is not stored.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Final

from gatepost_operations.web.console.security.refusals import ForgedRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

TOKEN_FIELD: Final = "csrf_token"  # noqa: S105 - a field's name
"""The name of the field in a form."""
TOKEN_HEADER: Final = "x-csrf-token"  # noqa: S105 - a header's name
"""The name of the header in a request of htmx."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM: Final = "application/x-www-form-urlencoded"
# Bytes. Larger bodies are uploads, which carry the token in the header.
_LARGEST_FORM: Final = 1 << 16


def csrf_token(cookie: str) -> str:
    """Return the token for the pages of one browser.

    Args:
        cookie: the secret in the browser's cookie.
    """
    return base64.urlsafe_b64encode(hmac.digest(cookie.encode(), b"gatepost csrf", "sha256")).decode().rstrip("=")


def is_from_own_page(method: str, headers: Mapping[str, str], origin: str) -> bool:
    """Return whether a request can come from the console's own pages, by the browser's headers.

    Args:
        method: the request's method.
        headers: its headers.
        origin: the console's origin, such as `https://console.example`.
    """
    if method in SAFE_METHODS:
        return True
    site = headers.get("sec-fetch-site")
    return site == "same-origin" if site is not None else headers.get("origin") == origin


async def require_token(request: Request) -> None:
    """Check the token of a request that changes something: in the header, or in a form of at most 64 KiB.

    Raises:
        ForgedRequest: the token is missing or wrong.
    """
    expected: str = getattr(request.state, "token", "")
    given = request.headers.get(TOKEN_HEADER) or await _token_in_form(request)
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise ForgedRequest


async def _token_in_form(request: Request) -> str:
    length = request.headers.get("content-length", "")
    is_small = length.isascii() and length.isdecimal() and int(length) <= _LARGEST_FORM
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not is_small or media_type != _FORM:
        return ""
    given = (await request.form()).get(TOKEN_FIELD, "")
    return given if isinstance(given, str) else ""
