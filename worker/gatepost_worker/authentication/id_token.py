"""Validates id_tokens: first the signature, then the claims.

Source: OpenID Connect Core 1.0, section 3.1.3.7; https://auth0.com/docs/secure/tokens/id-tokens/validate-id-tokens
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from joserfc import jws, jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError, MissingClaimError
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
_PROBLEMS: Final = {MissingClaimError: "is missing", ExpiredTokenError: "has passed"}
DEFAULT_LEEWAY: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Expectations:
    """The required contents of an id_token.

    Attributes:
        client_id: the audience.
        organization: an organization's id (`org_…`), compared exactly, or its name, compared without regard to case.
        nonce: the nonce sent. If none was sent, a token with a nonce is refused.
        max_age: how long ago the user may have authenticated.
    """

    client_id: str
    organization: str | None = None
    nonce: str | None = None
    max_age: timedelta | None = None

    @property
    def demands_a_token(self) -> bool:
        """Whether an expectation can be met only by an id_token."""
        return self.organization is not None or self.nonce is not None or self.max_age is not None


class IdTokenValidator:
    """Validates the id_tokens of one tenant. It accepts only the configured algorithm, so that a token cannot choose its key."""

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
        """Set the algorithm and its key.

        Args:
            issuer: the tenant's URL, with a slash at the end.
            algorithm: RS256, with a key of the tenant's JWKS, or HS256, with the client secret's UTF-8 bytes as the key.
            secret: the client secret.
            keys: the tenant's signing keys.
            leeway: how far the clocks may differ.
            clock: returns the time, in epoch seconds.

        Raises:
            ConfigurationError: the algorithm is neither of the two, or HS256 has no usable secret.
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
        """Return the token response with the claims of its id_token. A response without an id_token is returned unchanged.

        Args:
            tokens: the token response.
            expected: the required contents of its id_token.
            keys_within_s: the seconds that fetching the signing keys may take.

        Raises:
            IdTokenInvalid: a check failed, or there is no id_token although an expectation needs one.
            IdTokenNotVerified: the signing keys could not be fetched; the error holds the token response.
        """
        try:
            if tokens.id_token is not None:
                return replace(tokens, claims=self.validate(tokens.id_token, expected, keys_within_s))
            if expected.demands_a_token:
                raise IdTokenInvalid(
                    "presence", "is required by organization, nonce or max_age, but there is no id_token"
                )
        except LoginUnusable as error:
            error.status, error.rate_limits = tokens.status, tokens.rate_limits
            if isinstance(error, IdTokenNotVerified):
                error.token_response = tokens
            raise
        return tokens

    def validate(self, token: str, expected: Expectations, keys_within_s: float = PATIENCE_S) -> Mapping[str, Any]:
        """Return the token's claims after all checks.

        Args:
            token: the JWT.
            expected: its required contents.
            keys_within_s: the seconds that fetching the signing keys may take.

        Raises:
            IdTokenInvalid: a check failed.
            IdTokenNotVerified: the signing keys could not be fetched.
        """
        claims = self._verified_claims(token, keys_within_s)
        self._check_registered(claims, expected.client_id)
        audiences = claims["aud"]
        if isinstance(audiences, list) and len(audiences) > 1 and claims.get("azp") != expected.client_id:
            raise IdTokenInvalid("azp")
        if claims.get("nonce") != expected.nonce:
            raise IdTokenInvalid("nonce")
        if expected.max_age is not None:
            self._check_age(claims.get("auth_time"), expected.max_age)
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

    def _check_registered(self, claims: dict[str, Any], client_id: str) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=self._clock,  # type: ignore[arg-type] # a float works too, and is exact
            leeway=self._leeway,  # type: ignore[arg-type] # as above
            iss={"essential": True, "value": self._issuer},
            sub={"essential": True},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            registry.validate(claims)
        except ClaimError as error:
            claim, problem = error.claim.partition(",")[0], _PROBLEMS.get(type(error), "is not as expected")
        else:
            return
        raise IdTokenInvalid(claim, problem)  # outside the handler: the lower error's frames hold the claims

    def _check_age(self, auth_time: object, max_age: timedelta) -> None:
        # NaN and infinity fail the comparison.
        if isinstance(auth_time, bool) or not isinstance(auth_time, (int, float)) or not abs(auth_time) < _LATEST:
            raise IdTokenInvalid("auth_time", "is missing or not a number")
        if auth_time < self._clock() - max_age.total_seconds() - self._leeway:
            raise IdTokenInvalid("auth_time", "is too long ago")


def _secret_key(secret: str) -> OctKey:
    with suppress(ValueError):  # such as a public key in PEM
        return OctKey.import_key(secret.encode())  # UTF-8 bytes: Auth0 does not use the secret as base64
    raise ConfigurationError("client_secret cannot serve as an HS256 key")


def _decode(token: str, key: OctKey | RSAKey, algorithm: str) -> dict[str, Any] | None:
    try:
        return jwt.decode(token, key, algorithms=[algorithm]).claims
    except (JoseError, ValueError, RecursionError):
        return None


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
