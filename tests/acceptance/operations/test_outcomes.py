"""Each task from a producer through the broker and a real worker to the simulator over https, and its outcome back."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import AsyncProducer, State
from gatepost import errors as e
from gatepost_core.reasons import Reason
from support.guests import address

if TYPE_CHECKING:
    from gatepost import Producer
    from gatepost_simulator.control import ControlClient
    from support.stack import Stack


def phone() -> str:
    return f"+447700900{uuid.uuid4().int % 1000:03d}"


@pytest.fixture
def control(running: Stack) -> ControlClient:
    return running.simulator.control


def test_an_email_is_sent_once_and_accepted(producer: Producer, control: ControlClient) -> None:
    """The main job: one task, one message, one outcome."""
    recipient = address()

    outcome = producer.send_email(recipient).result(120)

    assert (outcome.state, outcome.attempts, outcome.http_status) == (State.ACCEPTED, 1, 200)
    assert control.count(recipient) == 1


def test_an_sms_is_sent_once_and_accepted(producer: Producer, control: ControlClient) -> None:
    """The same by phone; the plus survives."""
    recipient = phone()

    assert producer.send_sms(recipient, language="es").result(120).state is State.ACCEPTED
    assert control.count(recipient) == 1


def test_a_login_by_email_gives_its_token_set_once(producer: Producer, control: ControlClient) -> None:
    """The code becomes tokens; a second redemption gets nothing."""
    recipient = address()
    producer.send_email(recipient).result(120)
    code = control.latest_code(recipient)

    handle = producer.login_with_email(recipient, code, scope="openid profile")
    tokens = handle.redeem(120)

    assert tokens.id_token is not None
    assert tokens.access_token.get_secret_value()
    with pytest.raises(e.NothingToRedeem):
        handle.redeem(1)


def test_a_login_by_sms_gives_its_token_set(producer: Producer, control: ControlClient) -> None:
    """A plus that was lost on the way would make this a wrong code."""
    recipient = phone()
    producer.send_sms(recipient).result(120)

    tokens = producer.login_with_sms(recipient, control.latest_code(recipient), scope="openid offline_access").redeem(
        30
    )

    assert tokens.id_token is not None


def test_the_celery_result_of_a_login_is_sealed(producer: Producer, control: ControlClient, running: Stack) -> None:
    """`AsyncResult.get()` gives a JWE, which lives as long as the record and goes with the redemption."""
    recipient = address()
    producer.send_email(recipient).result(120)
    handle = producer.login_with_email(recipient, control.latest_code(recipient))

    sealed = producer.app.AsyncResult(handle.operation_id).get(timeout=120)

    with running.redis() as client:
        left = client.ttl(f"celery-task-meta-{handle.operation_id}")
        of_record = client.ttl(f"gatepost:operation:{handle.operation_id}")
    assert sealed.startswith("eyJ")
    assert sealed.count(".") == 4
    assert 0 < left <= of_record <= 86_400
    assert of_record - left <= 1
    handle.redeem(1)
    with running.redis() as client:
        assert not client.exists(f"celery-task-meta-{handle.operation_id}")


START_FAILURES = [
    ("bad-email", e.RecipientRejected, Reason.RECIPIENT_REJECTED),
    ("bad-connection", e.RecipientRejected, Reason.SIGNUP_DISABLED),
    ("bad-request", e.RequestRejected, Reason.REQUEST_REJECTED),
    ("captcha", e.CaptchaRequired, Reason.CAPTCHA_REQUIRED),
    ("invalid-client", e.ClientMisconfigured, Reason.CLIENT_REJECTED),
    ("unauthorized-client", e.ClientMisconfigured, Reason.CLIENT_REJECTED),
    ("503-after", e.OutcomeUnknown, Reason.SERVER_FAILED),
    ("500-before", e.OutcomeUnknown, Reason.SERVER_FAILED),
    ("502-html", e.OutcomeUnknown, Reason.SERVER_FAILED),
    ("drop-after", e.OutcomeUnknown, Reason.ANSWER_LOST),
    ("reset-after", e.OutcomeUnknown, Reason.ANSWER_LOST),
    ("truncate-after", e.OutcomeUnknown, Reason.ANSWER_LOST),
]


@pytest.mark.parametrize(("tag", "error", "reason"), START_FAILURES, ids=[row[0] for row in START_FAILURES])
def test_each_class_of_a_sends_failure_comes_back_typed(
    producer: Producer, control: ControlClient, tag: str, error: type[e.OperationFailed], reason: Reason
) -> None:
    """The handle and `AsyncResult.get()` raise it alike, and no second message is sent."""
    recipient = address(tag)
    handle = producer.send_email(recipient)

    with pytest.raises(error) as caught:
        handle.result(120)
    with pytest.raises(error):
        producer.app.AsyncResult(handle.operation_id).get(timeout=120)

    assert caught.value.reason == reason
    assert control.count(recipient) <= 1


TOKEN_FAILURES = [
    ("wrong-code", e.CodeRejected, Reason.CODE_REJECTED),
    ("code-expired", e.CodeExpired, Reason.CODE_EXPIRED),
    ("code-exhausted", e.CodeAttemptsExhausted, Reason.CODE_ATTEMPTS_EXHAUSTED),
    ("too-many-attempts", e.TooManyAttempts, Reason.TOO_MANY_ATTEMPTS),
    ("access-denied", e.AccessDenied, Reason.ACCESS_DENIED),
    ("grant-not-allowed", e.ClientMisconfigured, Reason.CLIENT_NOT_AUTHORIZED),
    ("dpop-nonce", e.ClientMisconfigured, Reason.DPOP_REQUIRED),
    ("endpoint-disabled", e.ClientMisconfigured, Reason.ENDPOINT_DISABLED),
    ("token-503-after", e.OutcomeUnknown, Reason.SERVER_FAILED),
    ("token-drop-after", e.OutcomeUnknown, Reason.ANSWER_LOST),
    ("idtoken-bad-aud", e.AnswerRejected, Reason.TOKEN_INVALID),
    ("idtoken-expired", e.AnswerRejected, Reason.TOKEN_INVALID),
]


@pytest.mark.parametrize(("tag", "error", "reason"), TOKEN_FAILURES, ids=[row[0] for row in TOKEN_FAILURES])
def test_each_class_of_a_logins_failure_comes_back_typed(
    producer: Producer, control: ControlClient, tag: str, error: type[e.OperationFailed], reason: Reason
) -> None:
    """A login is never repeated, so each ends after one attempt."""
    recipient = address(tag)
    producer.send_email(recipient).result(120)
    handle = producer.login_with_email(recipient, control.latest_code(recipient), scope="openid")

    with pytest.raises(error) as caught:
        handle.result(120)

    assert caught.value.reason == reason
    assert handle.outcome().attempts == 1


def test_a_second_factor_hands_over_its_challenge_once(producer: Producer, control: ControlClient) -> None:
    """The application continues with the MFA token, which is sealed like a token set."""
    recipient = address("mfa")
    producer.send_email(recipient).result(120)
    handle = producer.login_with_email(recipient, control.latest_code(recipient))

    with pytest.raises(e.MfaRequired) as caught:
        handle.redeem(120)

    assert caught.value.challenge.mfa_token.get_secret_value()
    with pytest.raises(e.NothingToRedeem):
        handle.redeem(1)


@pytest.mark.parametrize("retry_after", ["absent", "seconds", "date"])
def test_a_429_defers_and_spends_no_attempt(producer: Producer, control: ControlClient, retry_after: str) -> None:
    """With a Retry-After of either form, and without one, the message leaves later, once."""
    recipient = address("429-once")
    control.set_quota(retry_after=retry_after)
    try:
        outcome = producer.send_email(recipient).result(120)
    finally:
        control.set_quota(retry_after="seconds")

    assert (outcome.state, outcome.attempts) == (State.ACCEPTED, 1)
    assert control.count(recipient) == 1


def test_the_caller_may_choose_to_resend_what_is_unknown(producer: Producer, control: ControlClient) -> None:
    """`on_unknown=resend` accepts a second message rather than none."""
    recipient = address("503-after-once")

    outcome = producer.send_email(recipient, on_unknown="resend").result(120)

    assert (outcome.state, outcome.attempts) == (State.ACCEPTED, 2)
    assert control.count(recipient) == 2


def test_the_same_idempotency_key_sends_once(producer: Producer, control: ControlClient) -> None:
    """A web request that is repeated names the same operation."""
    recipient, key = address(), uuid.uuid4().hex

    first = producer.send_email(recipient, idempotency_key=key)
    second = producer.send_email(recipient, idempotency_key=key)
    first.result(120)

    assert first.operation_id == second.operation_id
    assert producer.send_email(recipient, idempotency_key=key).result(120).state is State.ACCEPTED
    assert control.count(recipient) == 1
    with pytest.raises(e.IdempotencyConflict):
        producer.send_email(address(), idempotency_key=key)


def test_a_login_past_its_deadline_expires(producer: Producer) -> None:
    """A code that is too old is not tried."""
    handle = producer.login_with_email(address(), "123456", deadline=datetime.now(UTC) - timedelta(seconds=1))

    with pytest.raises(e.DeadlinePassed):
        handle.result(120)


def test_the_asyncio_producer_does_the_same(running: Stack, control: ControlClient) -> None:
    """Several operations wait at once, on one loop."""
    recipients = [address() for _ in range(5)]

    async def all_of_them() -> list[Any]:
        async with AsyncProducer(running.settings) as producer:
            sends = [await producer.send_email(recipient) for recipient in recipients]
            await asyncio.gather(*(handle.result(120) for handle in sends))
            logins = [await producer.login_with_email(r, control.latest_code(r), scope="openid") for r in recipients]
            return await asyncio.gather(*(handle.redeem(120) for handle in logins))

    token_sets = asyncio.run(all_of_them())

    assert len(token_sets) == 5
    assert all(tokens.id_token for tokens in token_sets)
