"""Who calls: the client named by a request, and whether its secret, assertion or certificate proves it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gatepost_simulator.assertions import ASSERTION_TYPE, AssertionRefusedError, Assertions, public_key
from gatepost_simulator.exchange import Refusal

if TYPE_CHECKING:
    from gatepost_simulator.exchange import Request
    from gatepost_simulator.settings import Client, SimulatorSettings

_START = "/passwordless/start"


class ClientAuthentication:
    """The tenant's clients and their credentials.

    Args:
        settings: The clients, and how open points are read.
        domain: The tenant's domain; `https://{domain}/` is the audience of assertions.
    """

    def __init__(self, settings: SimulatorSettings, domain: str) -> None:
        self._points = settings.open_points
        self._edge_api_key = settings.edge_api_key
        self._domain = domain
        self._clients: dict[str, Client] = {}
        self._assertions = Assertions()
        for client in (*settings.clients, *settings.more_clients):
            self.register(client)

    def register(self, client: Client) -> None:
        """Add a client, or replace the one of the same id.

        Raises:
            ValueError: One of its public keys is not an RSA key in PEM form.
        """
        for pem in client.public_keys:
            public_key(pem)
        self._clients[client.client_id] = client

    def clients(self) -> list[Client]:
        """Return all clients."""
        return list(self._clients.values())

    def find(self, client_id: str) -> Client | None:
        """Return the client of this id, if there is one."""
        return self._clients.get(client_id)

    def authenticate(self, request: Request, now: float) -> Client:
        """Return the client that sent the request, and note in the request how it proved itself.

        Raises:
            Refusal: The client is unknown, did not prove itself, or may not call without doing so.
        """
        self._read_basic(request)
        client = self._clients.get(request.client_id)
        if client is None:
            raise self._bad_credentials("Unknown client")
        secret, assertion = request.text("client_secret"), request.text("client_assertion")
        if secret and assertion and self._points.two_credentials == "refuse":
            raise self._bad_credentials("More than one client credential")
        match client.method:
            case "client_secret" if secret:
                self._check_secret(client, secret)
            case "private_key_jwt" if assertion:
                self._check_assertion(client, request, assertion, now)
            case "mtls" if self._has_certificate(client, request):
                pass
            case "none":
                return client
            case _:
                self._allow_anonymous(request, presented=bool(secret or assertion))
                return client
        request.authentication = client.method
        return client

    def end_user_ip(self, client: Client, request: Request) -> str:
        """Return the IP that limits and attack protection count for: the forwarded one only where it is trusted."""
        forwarded = request.header(b"auth0-forwarded-for")
        if not forwarded or not client.trust_forwarded_for:
            return request.peer
        secret_used = request.authentication == "client_secret"
        any_allowed = self._points.forwarded_for == "any_authentication" and request.authentication != "none"
        return forwarded.split(",")[0].strip() if secret_used or any_allowed else request.peer

    def _read_basic(self, request: Request) -> None:
        scheme, _, value = request.header(b"authorization").partition(" ")
        if scheme.lower() != "basic" or request.path == _START:
            return
        try:
            client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            raise self._bad_credentials("Malformed Authorization header") from None
        request.client_id = unquote(client_id)
        request.parameters["client_secret"] = unquote(secret)

    def _check_secret(self, client: Client, presented: str) -> None:
        expected = client.client_secret.get_secret_value() if client.client_secret else ""
        if not expected or not secrets.compare_digest(expected.encode(), presented.encode()):
            raise self._bad_credentials("Unauthorized")

    def _check_assertion(self, client: Client, request: Request, assertion: str, now: float) -> None:
        if request.text("client_assertion_type") != ASSERTION_TYPE:
            raise self._bad_credentials(f"client_assertion_type must be {ASSERTION_TYPE}")
        try:
            self._assertions.verify(
                assertion,
                client_id=client.client_id,
                keys=[public_key(pem) for pem in client.public_keys],
                audiences=self._audiences(),
                now=now,
                replay_allowed=self._points.assertion_replay == "accept",
            )
        except AssertionRefusedError as refused:
            raise self._bad_credentials(str(refused)) from refused

    def _audiences(self) -> list[str]:
        strict = [f"https://{self._domain}/"]
        if self._points.assertion_audience == "with_slash":
            return strict
        return [*strict, f"https://{self._domain}", f"https://{self._domain}/oauth/token", f"http://{self._domain}/"]

    def _has_certificate(self, client: Client, request: Request) -> bool:
        if request.path == _START and self._points.mtls_on_start == "refuse":
            return False
        encoded = request.certificate() or self._edge_certificate(request)
        if encoded is None:
            return False
        if client.certificate_sha256:
            return secrets.compare_digest(hashlib.sha256(encoded).hexdigest(), client.certificate_sha256.lower())
        subject = x509.load_der_x509_certificate(encoded).subject
        names = [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        return bool(client.certificate_common_name) and client.certificate_common_name in names

    def _edge_certificate(self, request: Request) -> bytes | None:
        """Read the certificate that a customer's edge forwards: `cname-api-key`, `client-certificate` and its verdict."""
        key = self._edge_api_key
        if key is None or request.header(b"cname-api-key") != key.get_secret_value():
            return None
        if request.header(b"client-certificate-ca-verified") != "SUCCESS":
            return None
        try:
            certificate = x509.load_pem_x509_certificate(unquote(request.header(b"client-certificate")).encode())
        except ValueError:
            return None
        return certificate.public_bytes(Encoding.DER)

    def _allow_anonymous(self, request: Request, *, presented: bool) -> None:
        if presented:
            raise self._bad_credentials("Unauthorized")
        if request.path != _START:
            raise self._bad_credentials("Unauthorized")
        if self._points.start_client_authentication == "required":
            raise Refusal(403, "unauthorized_client", "Client authentication is required")

    def _bad_credentials(self, description: str) -> Refusal:
        return Refusal(401, self._points.bad_credentials_error, description)
