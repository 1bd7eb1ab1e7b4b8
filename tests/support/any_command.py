"""Commands as foreign systems could write them, for tests with generated input."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from gatepost_core.kinds import Kind
from support.any_json import TEXTS, VALUES

VALID: Final[dict[str, Any]] = {
    "email": "guest@example.com",
    "phone_number": "+12025550143",
    "code": "914377",
    "deadline": "2030-01-01T00:00:00Z",
    "client_ip": "2001:db8::1",
    "language": "pt-BR",
    "tenant": "default",
    "extra": {"state": "x"},
    "auth_params": {"scope": "openid", "weight": 0.1, "big": 10**100},
    "send": "link",
    "on_unknown": "resend",
    "max_age": 60,
}
_FIELDS: Final = st.sampled_from(
    [*VALID, "kind", "connection", "realm", "scope", "audience", "organization", "nonce", "client_secret"]
)
FOREIGN: Final = st.builds(
    lambda kind, kept, changed: {"kind": kind} | {name: VALID[name] for name in kept} | changed,
    st.sampled_from(Kind),
    st.sets(st.sampled_from(sorted(VALID)), max_size=5),
    st.dictionaries(_FIELDS | TEXTS, VALUES, max_size=3),
)
"""Mostly right, so that many are accepted; the rest may be wrong in any way."""
