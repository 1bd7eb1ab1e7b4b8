"""The client against the simulated Authentication API over HTTPS: all of the ways to authenticate, to fail and to verify."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from gatepost_worker import authentication as auth
from gatepost_worker.authentication import (
    AuthenticationError,
    ClientCertificate,
    Configuration,
    CredentialCheck,
    Delivery,
    Passwordless,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakeClient = Callable[..., Passwordless]

EMAIL = "user@example.com"
PHONE = "+14155550123"


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    """One simulator over TLS for the module."""
    with SimulatorServer(tls=True, quota={"plan": "unlimited"}, providers={"timeout_s": 0.1}) as running:
        yield running


@pytest.fixture
def tenant(server: SimulatorServer) -> SimulatorServer:
    """The simulator, emptied for this test."""
    server.control.reset()
    return server


@pytest.fixture
def connect(tenant: SimulatorServer) -> Iterator[MakeClient]:
    """Make clients of the simulator; they are closed after the test."""
    made: list[Passwordless] = []

    def make(**given: Any) -> Passwordless:
        configuration = Configuration(
            base_url=tenant.url, ca_bundle=str(tenant.ca_file), trust_env=False, **given.pop("configuration", {})
        )
        fields: dict[str, Any] = {"client_id": DEV_CLIENT_ID, "client_secret": DEV_CLIENT_SECRET}
        client = Passwordless(domain=tenant.domain, configuration=configuration, **{**fields, **given})
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


def credentials(tenant: SimulatorServer, kind: str) -> dict[str, Any]:
    key = Path(tenant.assertion_key_file).read_text()
    if kind == "secret":
        return {}
    return {
        "client_id": "gatepost-assertion",
        "client_secret": None,
        "client_assertion_signing_key": key,
        "client_assertion_signing_alg": kind,
    }


@pytest.mark.parametrize("kind", ["secret", "RS256", "RS384", "PS256"])
def test_an_email_login_from_start_to_claims(connect: MakeClient, tenant: SimulatorServer, kind: str) -> None:
    """With a secret and with each assertion algorithm."""
    client = connect(**credentials(tenant, kind))
    started = client.send_email(EMAIL)
    tokens = client.login_with_email(EMAIL, tenant.control.latest_code(EMAIL), scope="openid profile email")

    assert started.status == 200
    assert started.rate_limits.limit is not None
    assert tokens.token_type == "Bearer"
    assert tokens.claims is not None
    assert tokens.claims["aud"] == client._client_id


def test_an_sms_login_from_start_to_claims(connect: MakeClient, tenant: SimulatorServer) -> None:
    """The number's plus survives the form."""
    client = connect()
    client.send_sms(PHONE, language="de")
    tokens = client.login_with_sms(PHONE, tenant.control.latest_code(PHONE), scope="openid")

    assert tokens.claims is not None
    assert str(tokens.claims["sub"]).startswith("sms|")


def test_mutual_tls_serves_the_login(connect: MakeClient, tenant: SimulatorServer) -> None:
    """The start is made by a client with a secret, because there is no mTLS for it."""
    path = str(tenant.client_certificate_file)
    certificate = ClientCertificate(certificate_path=path, key_path=path)
    client = connect(client_id="gatepost-mtls", client_secret=None, client_certificate=certificate)
    connect().send_email(EMAIL)

    tokens = client.login_with_email(EMAIL, tenant.control.latest_code(EMAIL), scope="openid")
    assert tokens.claims is not None
    with pytest.raises(auth.ConfigurationError):
        client.send_email(EMAIL)


def test_a_key_rotation_is_noticed(connect: MakeClient, tenant: SimulatorServer) -> None:
    """A token with a key id that is new to the client; a new client, because of the cool-down."""
    first = connect()
    first.send_email(EMAIL)
    assert first.login_with_email(EMAIL, tenant.control.latest_code(EMAIL), scope="openid").claims
    tenant.control.rotate_keys()
    second = connect()
    second.send_email(EMAIL)

    assert second.login_with_email(EMAIL, tenant.control.latest_code(EMAIL), scope="openid").claims


def test_hs256_tokens_are_verified_by_the_secret(connect: MakeClient, tenant: SimulatorServer) -> None:
    """And refused where RS256 is expected."""
    recipient = "user+idtoken-hs256@example.com"
    client = connect(id_token_signing_alg="HS256")
    client.send_email(recipient)
    assert client.login_with_email(recipient, tenant.control.latest_code(recipient), scope="openid").claims
    strict = connect()
    strict.send_email(recipient)
    with pytest.raises(auth.IdTokenInvalid) as caught:
        strict.login_with_email(recipient, tenant.control.latest_code(recipient), scope="openid")

    assert caught.value.claim == "alg"


@pytest.mark.parametrize(
    ("tag", "claim"), [("bad-iss", "iss"), ("bad-aud", "aud"), ("expired", "exp"), ("unknown-kid", "kid")]
)
def test_a_bad_id_token_is_refused_and_the_code_spent(
    connect: MakeClient, tenant: SimulatorServer, tag: str, claim: str
) -> None:
    """One token call, whatever comes of it."""
    recipient = f"user+idtoken-{tag}@example.com"
    client = connect()
    client.send_email(recipient)
    with pytest.raises(auth.IdTokenInvalid) as caught:
        client.login_with_email(recipient, tenant.control.latest_code(recipient), scope="openid")

    assert (caught.value.claim, caught.value.delivery, caught.value.status) == (claim, Delivery.ANSWERED, 200)
    assert len(tenant.control.request_log(path="/oauth/token")) == 1


STARTS: list[tuple[str, type[AuthenticationError]]] = [
    ("bad-email", auth.RecipientRejected),
    ("bad-connection", auth.SignupDisabled),
    ("bad-request", auth.RequestRejected),
    ("captcha", auth.CaptchaRequired),
    ("invalid-client", auth.ClientRejected),
    ("unauthorized-client", auth.ClientAuthenticationRequired),
    ("too-many-requests", auth.RateLimited),
    ("server-error", auth.ServerFailed),
    ("429", auth.RateLimited),
    ("502-html", auth.ServerFailed),
    ("503-empty", auth.TemporarilyUnavailable),
    ("503-after", auth.TemporarilyUnavailable),
    ("gateway-401", auth.ProviderMisconfigured),
    ("gateway-timeout", auth.ProviderTimedOut),
    ("gateway-503", auth.ProviderFailed),
    ("invalid-number", auth.ProviderRejectedRecipient),
    ("region-disabled", auth.ProviderRejectedRecipient),
    ("drop-before", auth.ConnectionLost),
    ("drop-after", auth.ConnectionLost),
    ("reset-after", auth.ConnectionLost),
    ("truncate-after", auth.AnswerTruncated),
]


@pytest.mark.parametrize(("tag", "expected"), STARTS)
def test_a_failing_start_has_its_class(
    connect: MakeClient, tenant: SimulatorServer, tag: str, expected: type[AuthenticationError]
) -> None:
    """And nothing that was sent is called unsent."""
    recipient = f"user+{tag}@example.com"
    with pytest.raises(AuthenticationError) as caught:
        connect().send_email(recipient)

    assert isinstance(caught.value, expected)
    if tenant.control.count(recipient):
        assert caught.value.may_have_taken_effect


LOGINS: list[tuple[str, type[AuthenticationError]]] = [
    ("wrong-code", auth.CodeRejected),
    ("code-expired", auth.CodeExpired),
    ("code-exhausted", auth.CodeAttemptsExhausted),
    ("too-many-attempts", auth.TooManyAttempts),
    ("too-many-logins", auth.TooManyLogins),
    ("mfa", auth.MfaRequired),
    ("mfa-without-token", auth.MfaRequired),
    ("access-denied", auth.AccessDenied),
    ("user-blocked", auth.AccessDenied),
    ("grant-not-allowed", auth.ClientNotAuthorized),
    ("dpop-nonce", auth.DpopRequired),
    ("endpoint-disabled", auth.EndpointDisabled),
    ("token-503-after", auth.TemporarilyUnavailable),
    ("token-drop-after", auth.ConnectionLost),
    ("token-429-before", auth.RateLimited),
]


@pytest.mark.parametrize(("tag", "expected"), LOGINS)
def test_a_failing_login_has_its_class(
    connect: MakeClient, tenant: SimulatorServer, tag: str, expected: type[AuthenticationError]
) -> None:
    """One token call, and no tokens."""
    recipient = f"user+{tag}@example.com"
    client = connect()
    client.send_email(recipient)
    with pytest.raises(AuthenticationError) as caught:
        client.login_with_email(recipient, tenant.control.latest_code(recipient), scope="openid")

    assert isinstance(caught.value, expected)
    assert len(tenant.control.request_log(path="/oauth/token")) == 1


def test_a_real_wrong_code_and_a_used_one_are_refused(connect: MakeClient, tenant: SimulatorServer) -> None:
    """By the simulator's own rules, not by a tag."""
    client = connect()
    client.send_email(EMAIL)
    code = tenant.control.latest_code(EMAIL)
    with pytest.raises(auth.CodeRejected):
        client.login_with_email(EMAIL, "000000" if code != "000000" else "111111")
    client.login_with_email(EMAIL, code)
    with pytest.raises(auth.CodeRejected):
        client.login_with_email(EMAIL, code)


@pytest.mark.parametrize("tag", ["empty-200", "empty-object", "not-json-200"])
def test_a_strange_200_may_have_sent(connect: MakeClient, tenant: SimulatorServer, tag: str) -> None:
    """Here it has."""
    recipient = f"user+{tag}@example.com"
    with pytest.raises(auth.StartResponseUnreadable) as caught:
        connect().send_email(recipient)

    assert caught.value.may_have_taken_effect
    assert tenant.control.count(recipient) == 1


def test_the_probe_sends_nothing(connect: MakeClient, tenant: SimulatorServer) -> None:
    """And tells a good credential from a bad one."""
    good, bad = connect().probe_start(), connect(client_secret="wrong").probe_start()

    assert (good.credentials, bad.credentials) == (CredentialCheck.ACCEPTED, CredentialCheck.REJECTED)
    assert good.rate_limits is not None
    assert tenant.control.stats()["starts_accepted"] == 0


def test_every_retry_has_an_assertion_that_was_never_seen(connect: MakeClient, tenant: SimulatorServer) -> None:
    """The simulator refuses a second use of one."""
    client = connect(
        **credentials(tenant, "RS256"), configuration={"retry": auth.RetryPolicy(enabled=True)}, sleep=lambda _: None
    )

    assert client.send_email("user+429-before-once@example.com").status == 200


def test_one_client_serves_many_threads(connect: MakeClient, tenant: SimulatorServer) -> None:
    """Everyone gets one message, and their own tokens."""
    client = connect()
    recipients = [f"person-{number}@example.com" for number in range(60)]

    def log_in(recipient: str) -> str:
        client.send_email(recipient)
        tokens = client.login_with_email(
            recipient, tenant.control.latest_code(recipient, wait_s=5), scope="openid email"
        )
        assert tokens.claims is not None
        return str(tokens.claims["email"])

    with ThreadPoolExecutor(16) as pool:
        seen = list(pool.map(log_in, recipients))

    assert seen == recipients
    assert len(tenant.control.request_log(path="/.well-known/jwks.json")) <= 1
