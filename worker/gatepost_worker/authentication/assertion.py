"""Client assertions (private_key_jwt): a fresh one for every HTTP attempt."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from gatepost_worker.authentication.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS: Final = ("RS256", "RS384", "PS256")
LIFETIME_S: Final = 120
_CLAIM_LIMIT: Final = 64


class AssertionSigner:
    """Signs client assertions. Each is good once: Auth0 refuses a second use of its `jti`, so never send one twice.

    Source: RFC 7523, section 3; https://auth0.com/docs/get-started/authentication-and-authorization-flow/authenticate-with-private-key-jwt
    """

    def __init__(self, signing_key: str, algorithm: str, audience: str, clock: Callable[[], float]) -> None:
        """Import the key.

        Args:
            signing_key: an RSA private key, PKCS#8 PEM.
            algorithm: RS256, RS384 or PS256; Auth0 accepts no other.
            audience: the tenant's or custom domain's URL, with its slash at the end.
            clock: gives the time, in epoch seconds.

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
            ConfigurationError: Auth0 accepts no client id of that length in an assertion.
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
    if not usable:  # raised here, outside the handler: the lower exception may quote the key
        raise ConfigurationError("client_assertion_signing_key is not an RSA private key in PKCS#8 PEM")
    return key
