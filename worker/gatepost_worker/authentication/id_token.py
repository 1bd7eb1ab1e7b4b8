"""Validation of an id_token: signature first, then every claim by value.

Source: OpenID Connect Core 1.0, section 3.1.3.7; https://auth0.com/docs/secure/tokens/id-tokens/validate-id-tokens
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from gatepost_worker.authentication.errors import (
    ConfigurationError,
    IdTokenInvalid,
    IdTokenNotVerified,
    LoginUnusable,
)
from gatepost_worker.authentication.jwks import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from joserfc.jwk import RSAKey

    from gatepost_worker.authentication.jwks import SigningKeys
    from gatepost_worker.authentication.responses import TokenResponse

ALGORITHMS: Final = ("RS256", "HS256")
_LATEST: Final = 1 << 53
DEFAULT_LEEWAY: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Expectations:
    """What an id_token must say.

    Attributes:
        client_id: the audience.
        organization: an organization's id (`org_…`), compared exactly, or its name, compared without regard to case.
        nonce: the nonce sent; a token with a nonce that was not sent is refused as well.
        max_age: how long ago the person may have authenticated.
    """

    client_id: str
    organization: str | None = None
    nonce: str | None = None
    max_age: timedelta | None = None

    @property
    def demands_a_token(self) -> bool:
        """Whether something is asked that only an id_token can answer."""
        return self.organization is not None or self.nonce is not None or self.max_age is not None


class IdTokenValidator:
    """Validates id_tokens of one tenant. Only the configured algorithm is accepted, so that no token can choose its own key."""

    def __init__(
        self,
        *,
        issuer: str,
        algorithm: str,
        secret: str | None,
        keys: SigningKeys,
        leeway: timedelta,
        clock: Callable[[], float],
    ) -> None:
        """Choose the key's source.

        Args:
            issuer: the tenant's URL, with its slash at the end.
            algorithm: RS256 (the tenant's JWKS) or HS256 (the client secret's UTF-8 bytes).
            secret: the client secret.
            keys: the tenant's signing keys.
            leeway: how far the clocks may differ.
            clock: gives the time, in epoch seconds.

        Raises:
            ConfigurationError: the algorithm is not one of the two, or HS256 lacks its secret.
        """
        if algorithm not in ALGORITHMS:
            raise ConfigurationError(f"id_token_signing_alg must be one of {', '.join(ALGORITHMS)}")
        if algorithm == "HS256" and not secret:
            raise ConfigurationError("id_token_signing_alg HS256 needs a client_secret")
        self._issuer = issuer
        self._algorithm = algorithm
        self._secret = _secret_key(secret) if secret and algorithm == "HS256" else None
        self._keys = keys
        self._leeway = leeway.total_seconds()
        self._clock = clock

    def verify(self, tokens: TokenResponse, expected: Expectations, keys_within_s: float = PATIENCE_S) -> TokenResponse:
        """Return a token response with its id_token's claims; one without an id_token as it is, unless something is asked of it.

        Args:
            tokens: the token response.
            expected: what its id_token must say.
            keys_within_s: how long fetching the signing keys may take.

        Raises:
            IdTokenInvalid: a check failed, or there is no id_token to answer what is asked.
            IdTokenNotVerified: the signing keys could not be fetched; it carries the token response.
        """
        try:
            if tokens.id_token is not None:
                return replace(tokens, claims=self.validate(tokens.id_token, expected, keys_within_s))
            if expected.demands_a_token:
                raise IdTokenInvalid("presence", "is not given, and something was asked of it")
        except LoginUnusable as error:
            error.status, error.rate_limits = tokens.status, tokens.rate_limits
            if isinstance(error, IdTokenNotVerified):
                error.token_response = tokens
            raise
        return tokens

    def validate(self, token: str, expected: Expectations, keys_within_s: float = PATIENCE_S) -> Mapping[str, Any]:
        """Return the token's claims, all of them checked.

        Args:
            token: the JWT.
            expected: what it must say.
            keys_within_s: how long fetching the signing keys may take.

        Raises:
            IdTokenInvalid: a check failed.
            IdTokenNotVerified: the signing keys could not be fetched.
        """
        claims = self._verified_claims(token, keys_within_s)
        self._check_parties(claims, expected)
        self._check_times(claims, expected)
        if (expected.nonce is not None or claims.get("nonce") is not None) and claims.get("nonce") != expected.nonce:
            raise IdTokenInvalid("nonce")
        _check_organization(claims, expected.organization)
        return claims

    def _verified_claims(self, token: str, keys_within_s: float) -> dict[str, Any]:
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError, RecursionError):
            header = {}
        if header.get("alg") != self._algorithm:
            raise IdTokenInvalid("alg", f"is not {self._algorithm}")
        kid = header.get("kid")
        key = self._secret or self._keys.key(kid if isinstance(kid, str) else None, keys_within_s)
        claims = _decode(token, key, self._algorithm)
        if claims is None:
            raise IdTokenInvalid("signature", "does not verify")
        return claims

    def _check_parties(self, claims: Mapping[str, Any], expected: Expectations) -> None:
        if claims.get("iss") != self._issuer:
            raise IdTokenInvalid("iss")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise IdTokenInvalid("sub", "is missing")
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience
        if not isinstance(audiences, list) or expected.client_id not in audiences:
            raise IdTokenInvalid("aud")
        if len(audiences) > 1 and claims.get("azp") != expected.client_id:
            raise IdTokenInvalid("azp")

    def _check_times(self, claims: Mapping[str, Any], expected: Expectations) -> None:
        now = self._clock()
        if now >= _moment(claims, "exp") + self._leeway:
            raise IdTokenInvalid("exp", "has passed")
        if _moment(claims, "iat") > now + self._leeway:
            raise IdTokenInvalid("iat", "lies in the future")
        if "nbf" in claims and _moment(claims, "nbf") > now + self._leeway:
            raise IdTokenInvalid("nbf", "lies in the future")
        if expected.max_age is not None:
            authenticated_at = _moment(claims, "auth_time")
            if now > authenticated_at + expected.max_age.total_seconds() + self._leeway:
                raise IdTokenInvalid("auth_time", "is too long ago")


def _secret_key(secret: str) -> OctKey:
    with suppress(ValueError):  # a public key in PEM, say
        return OctKey.import_key(secret.encode())  # the bytes as they are: Auth0 does not mean them as base64
    raise ConfigurationError("client_secret cannot serve as an HS256 key")


def _decode(token: str, key: OctKey | RSAKey, algorithm: str) -> dict[str, Any] | None:
    try:
        return jwt.decode(token, key, algorithms=[algorithm]).claims
    except (JoseError, ValueError, RecursionError):
        return None


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # NaN is less than nothing, and a number of a thousand digits is no float.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LATEST:
        raise IdTokenInvalid(name, "is missing or not a number")
    return float(value)


def _check_organization(claims: Mapping[str, Any], organization: str | None) -> None:
    if organization is None:
        return
    if organization.startswith("org_"):
        if claims.get("org_id") != organization:
            raise IdTokenInvalid("org_id")
        return
    name = claims.get("org_name")
    if not isinstance(name, str) or name.lower() != organization.lower():
        raise IdTokenInvalid("org_name")
