"""Client assertions and client certificates, over https."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import RSAKey

from gatepost_simulator.assertions import ASSERTION_TYPE
from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import ASSERTION_CLIENT_ID, MTLS_CLIENT_ID
from support.tenant_client import TenantClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_simulator.control import ControlClient

ADA = "ada@example.com"
NO_SECRET: dict[str, Any] = {"client_secret": None}


@pytest.fixture(scope="module")
def running_simulator() -> Iterator[SimulatorServer]:
    """One simulator for this module, over https."""
    with SimulatorServer(in_thread=True, tls=True, quota={"plan": "unlimited"}) as server:
        yield server


def assertion(simulator: SimulatorServer, **changes: Any) -> dict[str, Any]:
    """Give the members that authenticate the assertion client."""
    now = int(time.time())
    claims = {
        "iss": ASSERTION_CLIENT_ID,
        "sub": ASSERTION_CLIENT_ID,
        "aud": f"https://{simulator.domain}/",
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid.uuid4()),
        **changes,
    }
    key = RSAKey.import_key(Path(simulator.assertion_key_file).read_text())
    value = jwt.encode({"alg": "RS256"}, claims, key)
    return {
        **NO_SECRET,
        "client_id": ASSERTION_CLIENT_ID,
        "client_assertion": value,
        "client_assertion_type": ASSERTION_TYPE,
    }


def test_an_assertion_authenticates_both_calls(tenant: TenantClient, simulator: SimulatorServer) -> None:
    """Start and token take an assertion in place of the secret."""
    code = tenant.sent_code(ADA, **assertion(simulator))
    answer = tenant.login(ADA, code, form=True, **assertion(simulator))

    assert answer.status_code == 200


def test_a_replayed_assertion_is_refused_and_says_why(tenant: TenantClient, simulator: SimulatorServer) -> None:
    """The same jti twice is a replay, unless the switch allows it."""
    credentials = assertion(simulator)
    first, second = (tenant.start(email=ADA, **credentials) for _ in range(2))
    simulator.control.change_settings(open_points={"assertion_replay": "accept"})
    allowed = tenant.start(email=ADA, **credentials)

    assert [first.status_code, second.status_code, allowed.status_code] == [200, 401, 200]
    assert second.json() == {
        "error": "invalid_client",
        "error_description": "client_assertion: this jti has been used before",
    }


def test_the_audience_needs_its_slash_unless_lenient(
    tenant: TenantClient, simulator: SimulatorServer, control: ControlClient
) -> None:
    """Auth0 documents the URL with a trailing slash."""
    bare = f"https://{simulator.domain}"
    strict = tenant.start(email=ADA, **assertion(simulator, aud=bare))
    control.change_settings(open_points={"assertion_audience": "lenient"})

    assert strict.status_code == 401
    assert tenant.start(email=ADA, **assertion(simulator, aud=bare)).status_code == 200


def test_a_forwarded_address_is_trusted_with_a_secret_only_unless_lenient(
    tenant: TenantClient, simulator: SimulatorServer, control: ControlClient
) -> None:
    """The documentation names the secret; whether an assertion will do is a switch."""
    key = RSAKey.import_key(Path(simulator.assertion_key_file).read_text())
    control.register_client(
        client_id=ASSERTION_CLIENT_ID,
        method="private_key_jwt",
        public_keys=[key.as_pem(private=False).decode()],
        trust_forwarded_for=True,
    )
    headers = {"auth0-forwarded-for": "203.0.113.9"}
    tenant.start(email=ADA, headers=headers, **assertion(simulator))
    control.change_settings(open_points={"forwarded_for": "any_authentication"})
    tenant.start(email=ADA, headers=headers, **assertion(simulator))

    assert [entry["ip"] for entry in control.request_log()] == ["127.0.0.1", "203.0.113.9"]


def test_a_certificate_authenticates_the_login_and_not_the_start(
    tenant: TenantClient, simulator: SimulatorServer, control: ControlClient
) -> None:
    """Mutual TLS works at the token endpoint, and at start only if the switch is set."""
    code = tenant.sent_code(ADA)
    tenant.session.cert = simulator.client_certificate_file
    refused = tenant.start(email=ADA, client_id=MTLS_CLIENT_ID, **NO_SECRET)
    login = tenant.login(ADA, code, client_id=MTLS_CLIENT_ID, **NO_SECRET)
    control.change_settings(open_points={"mtls_on_start": "accept"})
    accepted = tenant.start(email=ADA, client_id=MTLS_CLIENT_ID, **NO_SECRET)

    assert (refused.status_code, refused.json()["error"]) == (403, "unauthorized_client")
    assert login.status_code == 200
    assert control.request_log(path="/oauth/token")[0]["authentication"] == "mtls"
    assert accepted.status_code == 200


def test_no_certificate_and_the_wrong_one_are_refused(
    tenant: TenantClient, simulator: SimulatorServer, control: ControlClient
) -> None:
    """The certificate must be there, and be the client's own."""
    control.register_client(client_id="other", method="mtls", certificate_sha256="00" * 32)
    without = tenant.login(ADA, "000000", client_id=MTLS_CLIENT_ID, **NO_SECRET)
    tenant.session.cert = simulator.client_certificate_file
    with TenantClient(simulator) as fresh:
        fresh.session.cert = simulator.client_certificate_file
        another = fresh.login(ADA, "000000", client_id="other", **NO_SECRET)

    assert (without.status_code, another.status_code) == (401, 401)


def test_a_certificate_can_be_forwarded_by_the_edge(
    tenant: TenantClient, simulator: SimulatorServer, control: ControlClient
) -> None:
    """With self-managed certificates a proxy passes the certificate on, and proves itself by a key."""
    control.change_settings(edge_api_key="edge-key")
    pem = Path(str(simulator.client_certificate_file)).read_bytes()
    certificate = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
    headers = {
        "cname-api-key": "edge-key",
        "client-certificate": quote(certificate.public_bytes(Encoding.PEM).decode()),
        "client-certificate-ca-verified": "SUCCESS",
    }
    code = tenant.sent_code(ADA)
    fields = {"client_id": MTLS_CLIENT_ID, **NO_SECRET}
    refused = [
        tenant.login(ADA, code, headers={**headers, name: value}, **fields).status_code
        for name, value in (
            ("cname-api-key", "wrong"),
            ("client-certificate-ca-verified", "FAILED"),
            ("client-certificate", "x"),
        )
    ]

    assert refused == [401, 401, 401]
    assert tenant.login(ADA, code, headers=headers, **fields).status_code == 200


def test_a_client_that_does_not_trust_the_authority_cannot_connect(simulator: SimulatorServer) -> None:
    """Only ca.pem has the authority of the certificate."""
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{simulator.url}/.well-known/jwks.json", timeout=10)
