"""Request bodies: JSON for a start, a form for a token call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSWORDLESS_OTP: Final = "http://auth0.com/oauth/grant-type/passwordless/otp"
JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode


def present(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that have a value, in their order; None is left out, so that no body says `None` or `null`."""
    return {name: value for name, value in members.items() if value is not None}


def json_body(members: Mapping[str, Any]) -> bytes:
    """Return the members as compact JSON."""
    return _ENCODE(members).encode("ascii")


def form_body(members: Mapping[str, Any]) -> bytes:
    """Return the members form-encoded, `+` as `%2B`, with the grant type last."""
    fields = {name: value for name, value in members.items() if name != "grant_type"}
    fields["grant_type"] = PASSWORDLESS_OTP
    return urlencode({name: _form_value(value) for name, value in fields.items()}).encode("ascii")


def _form_value(value: object) -> str:
    if isinstance(value, str):
        return value
    return _ENCODE(value)  # true, 1, {...}: a form has text alone
