"""Client authentication: a client secret, a signed assertion (private_key_jwt), or a certificate (mutual TLS)."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.errors import ConfigurationError, CredentialMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS: Final = ("RS256", "RS384", "PS256")
LIFETIME_S: Final = 120
_CLAIM_LIMIT: Final = 64


class Credentials:
    """The client's credentials. One is used: a credential in the call's body, else the assertion, else the secret.

    A certificate is used for token calls only, because Auth0 has no mutual TLS for starts. A secret that is configured beside it is still
    sent.
    """

    def __init__(self, *, secret: str | None, signer: AssertionSigner | None, certificate: bool) -> None:
        """Store the credentials.

        Raises:
            ConfigurationError: there is none.
        """
        if not (secret or signer or certificate):
            raise ConfigurationError(
                "A client_secret, a client_assertion_signing_key or a client_certificate is required"
            )
        self._secret = secret
        self._signer = signer
        self._certificate = certificate

    def __repr__(self) -> str:
        kinds = {"assertion": self._signer, "secret": self._secret, "certificate": self._certificate}
        return f"Credentials({', '.join(kind for kind, value in kinds.items() if value)})"

    @property
    def signs(self) -> bool:
        """Whether each attempt gets a new assertion."""
        return self._signer is not None

    def members(self, endpoint: Endpoint, client_id: str, body: Mapping[str, Any]) -> dict[str, str]:
        """Return the body members that authenticate one attempt. Each attempt gets a new assertion.

        Args:
            endpoint: the endpoint to call.
            client_id: the effective client id.
            body: the members of the call's body. A credential among them is used alone.

        Raises:
            CredentialMissing: mutual TLS is the only credential, and the endpoint does not accept it.
        """
        if body.get("client_assertion"):
            return {} if body.get("client_assertion_type") else {"client_assertion_type": ASSERTION_TYPE}
        if body.get("client_secret"):
            return {}
        if self._signer is not None:
            return {"client_assertion": self._signer.sign(client_id), "client_assertion_type": ASSERTION_TYPE}
        if self._secret:
            return {"client_secret": self._secret}
        if endpoint is not Endpoint.TOKEN:
            raise CredentialMissing
        return {}


class AssertionSigner:
    """Signs client assertions. Auth0 accepts each `jti` once, so an assertion must never be sent twice.

    Source: RFC 7523, section 3; https://auth0.com/docs/get-started/authentication-and-authorization-flow/authenticate-with-private-key-jwt
    """

    def __init__(self, signing_key: str, algorithm: str, audience: str, clock: Callable[[], float]) -> None:
        """Import the key.

        Args:
            signing_key: an RSA private key, PKCS#8 PEM.
            algorithm: RS256, RS384 or PS256; Auth0 accepts no other.
            audience: the URL of the tenant or its custom domain, with a slash at the end.
            clock: returns the time, in epoch seconds.

        Raises:
            ConfigurationError: the key or the algorithm cannot be used.
        """
        if algorithm not in ALGORITHMS:
            raise ConfigurationError(f"client_assertion_signing_alg must be one of {', '.join(ALGORITHMS)}")
        self._key = _import(signing_key)
        self._algorithm = algorithm
        self._audience = audience
        self._clock = clock

    def sign(self, client_id: str) -> str:
        """Return a new assertion for the client.

        Raises:
            ConfigurationError: the client id is longer than Auth0 accepts in an assertion.
        """
        if len(client_id) > _CLAIM_LIMIT:
            raise ConfigurationError(f"client_id must have at most {_CLAIM_LIMIT} characters in a client assertion")
        now = int(self._clock())
        claims = {
            "iat": now,
            "sub": client_id,
            "jti": str(uuid.uuid4()),
            "iss": client_id,
            "aud": self._audience,
            "exp": now + LIFETIME_S,
        }
        payload = json.dumps(claims, separators=(",", ":"))
        return jws.serialize_compact({"alg": self._algorithm}, payload, self._key, algorithms=[self._algorithm])


def _import(signing_key: str) -> RSAKey:
    try:
        key = RSAKey.import_key(signing_key)
        usable = key.is_private
    except (JoseError, ValueError, TypeError):
        usable = False
    if not usable:  # raised outside the handler: the lower exception may quote the key
        raise ConfigurationError("client_assertion_signing_key is not an RSA private key in PKCS#8 PEM")
    return key
