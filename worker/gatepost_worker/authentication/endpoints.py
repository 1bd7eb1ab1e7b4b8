"""The endpoints this client calls."""

from __future__ import annotations

from enum import StrEnum


class Endpoint(StrEnum):
    """A path of the Authentication API, relative to the base URL."""

    START = "/passwordless/start"
    TOKEN = "/oauth/token"  # noqa: S105 - a path, not a credential
    JWKS = "/.well-known/jwks.json"
