"""The details of an outcome, and the details that only the caller gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost import Producer, Reason, State
from gatepost.errors import AccessDenied, OutcomeUnknown, Rejected
from gatepost_core.ledger import ledger_at
from gatepost_worker.authentication import ClientCertificate, Configuration, Passwordless
from gatepost_worker.delivery.attempts import Attempts
from gatepost_worker.delivery.ownership import Ownership
from gatepost_worker.delivery.runner import Ended, Runner
from support.one_client import OneClient
from support.scripted_adapter import Answer, ScriptedAdapter
from support.signed_tokens import CLIENT_ID, ISSUER, NOW, id_token, jwks

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost import Handle
    from gatepost_core.settings import Settings

    CarryOut = Callable[..., Handle]

EMAIL = "guest@example.com"
WORDS = "guest@example.com may come back on Monday"


@pytest.fixture
def carry_out(settings: Settings, redis_client: redis.Redis) -> CarryOut:
    """Record an operation, carry it out against a script, and return its handle; `client` changes the tenant's client."""

    def run(ask: Callable[[Producer], Handle], *script: Answer, **client: Any) -> Handle:
        given: dict[str, Any] = {"domain": "tenant.example.com", "client_id": CLIENT_ID, "client_secret": "secret"}
        configuration = Configuration(adapter=ScriptedAdapter(*script), issuer=ISSUER)
        tenant = Passwordless(**{**given, **client}, configuration=configuration, clock=lambda: NOW)
        runner = Runner(
            settings=settings,
            ledger=ledger_at(redis_client, settings),
            attempts=Attempts(redis_client, settings),
            keyring=settings.keyring(),
            fingerprints=settings.fingerprints(),
            clients=OneClient(tenant),  # type: ignore[arg-type] # as above
            ownership=Ownership(redis_client, settings),
        )
        handle = ask(Producer(settings))
        assert isinstance(runner.run(handle.operation_id), Ended)
        return handle

    return run


def send(producer: Producer) -> Handle:
    return producer.send_email(EMAIL)


def log_in(producer: Producer) -> Handle:
    return producer.login_with_email(EMAIL, "123456")


@pytest.mark.parametrize("ask", [send, log_in])
@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "extensibility_error"), (401, "custom_error_7"), (402, "quota_exceeded"), (403, "custom_error_7")],
)
def test_a_refusal_with_an_unlisted_code_shows_the_code(
    carry_out: CarryOut, ask: Callable[[Producer], Handle], status: int, code: str
) -> None:
    """Auth0 refused it, and the operator can look up the code."""
    outcome = carry_out(ask, Answer(status, {"error": code, "error_description": WORDS})).outcome()

    assert (outcome.state, outcome.reason) == (State.REJECTED, Reason.REFUSED_BY_AUTH0)
    assert (outcome.detail, outcome.http_status) == (code, status)


@pytest.mark.parametrize(
    "code", [EMAIL, "+12025550123", "123456", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "code 123456", "x" * 99]
)
def test_a_code_that_could_be_a_persons_is_not_shown(carry_out: CarryOut, code: str) -> None:
    """It is Auth0's form all the same."""
    outcome = carry_out(send, Answer(400, {"error": code})).outcome()

    assert (outcome.state, outcome.reason, outcome.detail) == (State.REJECTED, Reason.REFUSED_BY_AUTH0, None)


NOT_AUTH0S = [(200, body) for body in (b"[]", b'"accepted"', b'{"error": "please wait"}', b"{}", b"")]
NOT_AUTH0S += [(status, b"<html>Sign in</html>") for status in (200, 201, 202, 204, 206, 301, 302, 303, 307, 308)]


@pytest.mark.parametrize(("status", "body"), NOT_AUTH0S)
@pytest.mark.parametrize("ask", [send, log_in])
def test_a_success_or_redirect_that_is_not_auth0s_is_unknown(
    carry_out: CarryOut, ask: Callable[[Producer], Handle], status: int, body: bytes
) -> None:
    """A captive portal or a proxy spoke: what Auth0 did with the request cannot be known."""
    handle = carry_out(ask, Answer(status, body))
    outcome = handle.outcome()

    assert (outcome.state, outcome.reason) == (State.UNKNOWN, Reason.ANSWER_NOT_UNDERSTOOD)
    with pytest.raises(OutcomeUnknown):
        handle.result(10)


@pytest.mark.parametrize(
    ("status", "code", "expected"), [(403, "access_denied", AccessDenied), (403, "custom_error_7", Rejected)]
)
def test_an_actions_text_reaches_only_the_caller_and_once(
    carry_out: CarryOut, redis_client: redis.Redis, status: int, code: str, expected: type[Rejected]
) -> None:
    """They may name the person, so they travel sealed like an MFA token."""
    handle = carry_out(log_in, Answer(status, {"error": code, "error_description": WORDS}))
    stored = b"".join(value for key in redis_client.scan_iter("*") for value in (redis_client.dump(key) or b"",))
    with pytest.raises(expected) as first:
        handle.redeem(10)
    with pytest.raises(expected) as second:
        handle.redeem(10)

    assert first.value.description is not None
    assert first.value.description.get_secret_value() == WORDS
    assert second.value.description is None
    assert b"Monday" not in stored
    assert "Monday" not in f"{first.value!r} {first.value} {first.value.args} {handle.outcome()!r}"


def test_a_denial_without_words_has_none(carry_out: CarryOut) -> None:
    """The code alone is no text for a person."""
    with pytest.raises(AccessDenied) as caught:
        carry_out(log_in, Answer(403, {"error": "access_denied"})).redeem(10)

    assert caught.value.description is None


@pytest.mark.parametrize(
    ("changes", "claim"),
    [({"aud": "another"}, "aud"), ({"exp": 1}, "exp"), ({"iss": "https://x/"}, "iss"), ({"nonce": "n"}, "nonce")],
)
def test_an_outcome_names_the_claim_that_failed(carry_out: CarryOut, changes: dict[str, Any], claim: str) -> None:
    """And not its value."""
    tokens = {"access_token": "opaque", "token_type": "Bearer", "id_token": id_token(**changes)}
    handle = carry_out(log_in, Answer(200, tokens), Answer(body=jwks()))
    outcome = handle.outcome()

    assert (outcome.state, outcome.reason, outcome.detail) == (State.REJECTED, Reason.TOKEN_INVALID, claim)
    with pytest.raises(Rejected, match=rf"token_invalid \(claim: {claim}\)"):
        handle.result(10)


def test_a_send_with_mutual_tls_alone_is_refused_for_what_it_is(carry_out: CarryOut) -> None:
    """Auth0 has no mutual TLS for sends: neither the domain nor the client id is to blame."""
    certificate = ClientCertificate(certificate_path="/certificate.pem", key_path="/key.pem")
    handle = carry_out(send, client_secret=None, client_certificate=certificate)
    outcome = handle.outcome()

    assert (outcome.state, outcome.reason) == (State.REJECTED, Reason.CREDENTIAL_MISSING)
    with pytest.raises(Rejected, match="mutual TLS only for logins"):
        handle.result(10)
