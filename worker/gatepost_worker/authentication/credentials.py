"""How the client proves who it is: with a secret, with a signed assertion, or with a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_worker.authentication.assertion import ASSERTION_TYPE
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.errors import ConfigurationError, CredentialMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_worker.authentication.assertion import AssertionSigner


class Credentials:
    """The client's credential. The order of decision: the call's own, then the assertion, then the secret; never two of them.

    A certificate counts for token calls alone, because Auth0 has no mutual TLS for starts; a secret that is configured beside it is
    still sent.
    """

    def __init__(self, *, secret: str | None, signer: AssertionSigner | None, certificate: bool) -> None:
        """Take the credential.

        Raises:
            ConfigurationError: there is none at all.
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

    def fields(self, endpoint: Endpoint, client_id: str, given: Mapping[str, Any]) -> dict[str, str]:
        """Return the members that authenticate one attempt; an assertion is made anew on every call.

        Args:
            endpoint: which endpoint is called.
            client_id: the effective client id.
            given: the members that the call already has; a credential among them is used alone.

        Raises:
            CredentialMissing: mutual TLS is the only credential, and the endpoint does not accept it.
        """
        if given.get("client_assertion"):
            return {} if given.get("client_assertion_type") else {"client_assertion_type": ASSERTION_TYPE}
        if given.get("client_secret"):
            return {}
        if self._signer is not None:
            return {"client_assertion": self._signer.sign(client_id), "client_assertion_type": ASSERTION_TYPE}
        if self._secret:
            return {"client_secret": self._secret}
        if endpoint is not Endpoint.TOKEN:
            raise CredentialMissing
        return {}
