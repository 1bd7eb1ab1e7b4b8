"""Verifies a redeemed token set once more, apart from the worker, against the keys that the tenant publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_core.outcomes import TokenSet

_LEEWAY_S = 60


class TokenVerifier:
    """Checks id_tokens of one tenant and application.

    Args:
        jwks: the tenant's JWKS.
        issuer: the tenant's issuer.
        client_id: the application.
    """

    def __init__(self, jwks: Mapping[str, Any], *, issuer: str, client_id: str) -> None:
        self._keys = KeySet.import_key_set({"keys": jwks["keys"]})
        self._issuer = issuer
        self._client_id = client_id

    def belongs_to(self, tokens: TokenSet, recipient: str, *, now: float) -> bool:
        """Say whether a token set is genuine, and the recipient's.

        Args:
            tokens: what was redeemed.
            recipient: the address or number that logged in.
            now: the tenant's time, in epoch seconds.
        """
        if tokens.id_token is None or not tokens.access_token.get_secret_value():
            return False
        try:
            decoded = jwt.decode(tokens.id_token.get_secret_value(), self._keys, algorithms=["RS256"])
            self._rules(int(now)).validate(decoded.claims)
        except (JoseError, ValueError):
            return False
        return recipient in {decoded.claims.get("email"), decoded.claims.get("phone_number")}

    def _rules(self, now: int) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=now,
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
