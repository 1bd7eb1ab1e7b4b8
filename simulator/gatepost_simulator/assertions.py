"""Verifies client assertions (private_key_jwt): signature, claims, size and single use."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

if TYPE_CHECKING:
    from collections.abc import Sequence

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# https://auth0.com/docs/get-started/authentication-and-authorization-flow/authenticate-with-private-key-jwt
ALGORITHMS = ("RS256", "RS384", "PS256")
_MAX_BYTES = 2048
_MAX_TEXT = 64
_MAX_LIFETIME_S = 300
_SKEW_S = 10


class AssertionRefusedError(ValueError):
    """The assertion does not authenticate the client; the message gives the cause, for testers."""


class Assertions:
    """Verifies assertions for one domain and remembers every `jti` until its assertion has expired."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], float] = {}

    def verify(
        self,
        assertion: str,
        *,
        client_id: str,
        keys: Sequence[RSAKey],
        audiences: Sequence[str],
        now: float,
        replay_allowed: bool,
    ) -> None:
        """Accept the assertion, once.

        Raises:
            AssertionRefusedError: The size, signature, algorithm, audience, lifetime or issuer is wrong, or the assertion was used before.
        """
        if len(assertion) > _MAX_BYTES:
            raise AssertionRefusedError(f"client_assertion is longer than {_MAX_BYTES} bytes")
        claims = _verified_claims(assertion, keys)
        _check_identity(claims, client_id, audiences)
        expires_at = _check_times(claims, now)
        self._check_replay((client_id, str(claims["jti"])), expires_at, now, allowed=replay_allowed)

    def _check_replay(self, key: tuple[str, str], expires_at: float, now: float, *, allowed: bool) -> None:
        self._forget(now)
        if key in self._seen and not allowed:
            raise AssertionRefusedError("client_assertion: this jti has been used before")
        self._seen[key] = expires_at + _SKEW_S

    def _forget(self, now: float) -> None:
        for _ in range(2):
            oldest = next(iter(self._seen), None)
            if oldest is None or self._seen[oldest] > now:
                return
            del self._seen[oldest]


@lru_cache(maxsize=256)
def public_key(pem: str) -> RSAKey:
    """Read a client's public key.

    Raises:
        ValueError: It is not an RSA key in PEM form.
    """
    return RSAKey.import_key(pem)


def _verified_claims(assertion: str, keys: Sequence[RSAKey]) -> dict[str, Any]:
    if not keys:
        raise AssertionRefusedError("client_assertion: the client has no registered key")
    reason: JoseError | ValueError | None = None
    for key in keys:
        try:
            return jwt.decode(assertion, key, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError) as error:
            reason = error
    raise AssertionRefusedError(
        f"client_assertion: no registered key verifies it as {', '.join(ALGORITHMS)}"
    ) from reason


def _check_identity(claims: dict[str, Any], client_id: str, audiences: Sequence[str]) -> None:
    for name in ("iss", "sub", "jti"):
        value = claims.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
            raise AssertionRefusedError(f"client_assertion: {name} must be a text of 1 to {_MAX_TEXT} characters")
    if claims["iss"] != client_id or claims["sub"] != client_id:
        raise AssertionRefusedError("client_assertion: iss and sub must be the client_id")
    found = claims.get("aud")
    given = found if isinstance(found, list) else [found]
    if not any(audience in given for audience in audiences):
        raise AssertionRefusedError(f"client_assertion: aud must be {audiences[0]}")


def _check_times(claims: dict[str, Any], now: float) -> float:
    expires_at, issued_at = claims.get("exp"), claims.get("iat")
    if not isinstance(expires_at, (int, float)) or expires_at <= now:
        raise AssertionRefusedError("client_assertion: exp is missing or past")
    start = issued_at if isinstance(issued_at, (int, float)) else now
    if expires_at - start > _MAX_LIFETIME_S or expires_at - now > _MAX_LIFETIME_S + _SKEW_S:
        raise AssertionRefusedError(f"client_assertion: it lives longer than {_MAX_LIFETIME_S} seconds")
    for name in ("iat", "nbf"):
        value = claims.get(name)
        if isinstance(value, (int, float)) and value > now + _SKEW_S:
            raise AssertionRefusedError(f"client_assertion: {name} is in the future")
    return float(expires_at)
