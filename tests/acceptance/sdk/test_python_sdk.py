"""The unmodified official SDK for Python works against the simulator, over https."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from auth0.authentication import GetToken, Passwordless
from auth0.authentication.exceptions import Auth0Error, RateLimitError
from auth0.authentication.token_verifier import AsymmetricSignatureVerifier, TokenVerifier

from gatepost_simulator.settings import ASSERTION_CLIENT_ID, DEV_CLIENT_ID, DEV_CLIENT_SECRET

if TYPE_CHECKING:
    from gatepost_simulator.server import SimulatorServer

# Required arguments of the SDK; it sends JSON null.
ABSENT: Any = None


@pytest.fixture(autouse=True)
def _trust(simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK has no option for another authority; requests reads this variable."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(simulator.ca_file))


@pytest.fixture
def client(simulator: SimulatorServer) -> dict[str, Any]:
    """The SDK's configuration: the tenant, and the client with a secret."""
    return {"domain": simulator.domain, "client_id": DEV_CLIENT_ID, "client_secret": DEV_CLIENT_SECRET}


def verified(simulator: SimulatorServer, id_token: str) -> dict[str, Any]:
    """Give the claims of an id_token that passed the SDK's verifier."""
    keys = AsymmetricSignatureVerifier(f"{simulator.url}/.well-known/jwks.json")
    claims: dict[str, Any] = TokenVerifier(keys, simulator.issuer, DEV_CLIENT_ID, leeway=5).verify(id_token)
    return claims


def test_email_and_login(simulator: SimulatorServer, client: dict[str, Any]) -> None:
    """A code sent by email earns an id_token that the SDK's verifier accepts."""
    sent = Passwordless(**client).email("python@example.com", send="code")
    code = simulator.control.latest_code("python@example.com")
    tokens = GetToken(**client).passwordless_login(
        "python@example.com", code, "email", "openid email", "https://api.example/"
    )

    assert sent["email"] == "python@example.com"
    assert verified(simulator, tokens["id_token"])["email"] == "python@example.com"


def test_sms_and_login(simulator: SimulatorServer, client: dict[str, Any]) -> None:
    """A code sent by SMS earns an id_token; scope and audience left out travel as JSON null."""
    sent = Passwordless(**client).sms("+12015550102")
    code = simulator.control.latest_code("+12015550102")
    tokens = GetToken(**client).passwordless_login("+12015550102", code, "sms", ABSENT, ABSENT)

    assert sent["phone_number"] == "+12015550102"
    assert verified(simulator, tokens["id_token"])["phone_number"] == "+12015550102"


def test_default_is_a_link(simulator: SimulatorServer, client: dict[str, Any]) -> None:
    """The SDK asks for a link by default, and the link carries its authParams."""
    Passwordless(**client).email("python-link@example.com", auth_params={"state": "there and back"})

    (message,) = simulator.control.messages("python-link@example.com")
    assert message["kind"] == "link"
    assert "state=there+and+back" in message["link"]


# The SDK asks for the time in a way that Python 3.12 deprecates.
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_private_key_jwt(simulator: SimulatorServer) -> None:
    """The SDK's client assertion authenticates both calls."""
    client: dict[str, Any] = {
        "domain": simulator.domain,
        "client_id": ASSERTION_CLIENT_ID,
        "client_assertion_signing_key": Path(simulator.assertion_key_file).read_text(),
    }
    Passwordless(**client).email("python-key@example.com", send="code")
    code = simulator.control.latest_code("python-key@example.com")
    tokens = GetToken(**client).passwordless_login("python-key@example.com", code, "email", "openid", ABSENT)

    assert tokens["token_type"] == "Bearer"


def test_refusals(simulator: SimulatorServer, client: dict[str, Any]) -> None:
    """The SDK reads a refused code as an Auth0Error and an empty bucket as a RateLimitError with its reset time."""
    Passwordless(**client).email("python-wrong@example.com", send="code")
    with pytest.raises(Auth0Error) as wrong:
        GetToken(**client).passwordless_login("python-wrong@example.com", "no-code", "email", ABSENT, ABSENT)
    simulator.control.set_quota(tenant={"size": 0, "refill": 0})
    with pytest.raises(RateLimitError) as limited:
        Passwordless(**client).email("python-limited@example.com", send="code")

    assert (wrong.value.status_code, wrong.value.error_code) == (403, "invalid_grant")
    assert limited.value.reset_at > 0
