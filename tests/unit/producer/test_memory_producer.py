"""The producer for tests of applications: what it sends, its codes, and how a test makes operations fail."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gatepost import Producer, Reason, State, errors
from gatepost.testing import AsyncMemoryProducer, MemoryProducer
from gatepost_core.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

ANA = "ana@example.com"


@pytest.fixture
def producer() -> Iterator[MemoryProducer]:
    with MemoryProducer() as made:
        yield made


def test_a_code_arrives_and_logs_in_once(producer: MemoryProducer) -> None:
    """As with Auth0: a spent code is refused."""
    producer.send_email(ANA)
    code = producer.code_for(ANA)
    tokens = producer.login_with_email(ANA, code, scope="openid offline_access").redeem()

    assert tokens.id_token is not None
    assert tokens.refresh_token is not None
    with pytest.raises(errors.CodeRejected):
        producer.login_with_email(ANA, code).redeem()


def test_a_new_code_voids_the_one_before(producer: MemoryProducer) -> None:
    """The newest message counts."""
    producer.send_email(ANA)
    first = producer.code_for(ANA)
    while producer.code_for(ANA) == first:
        producer.send_email(ANA)

    assert producer.login_with_email(ANA, first).wait().reason is Reason.CODE_REJECTED
    assert producer.login_with_email(ANA, producer.code_for(ANA)).wait().state is State.ACCEPTED


def test_three_wrong_codes_void_it(producer: MemoryProducer) -> None:
    """Auth0 allows three tries."""
    producer.send_sms("+447700900123")
    code = producer.code_for("+44 7700 900123")
    wrong = f"{(int(code) + 1) % 10**6:06}"
    reasons = [producer.login_with_sms("+447700900123", wrong).wait().reason for _ in range(3)]

    assert reasons == [Reason.CODE_REJECTED, Reason.CODE_REJECTED, Reason.CODE_ATTEMPTS_EXHAUSTED]
    assert producer.login_with_sms("+447700900123", code).wait().reason is Reason.CODE_REJECTED


def test_sent_messages_are_found_by_recipient_and_option(producer: MemoryProducer) -> None:
    """However the address is written."""
    producer.send_email("Ana@Example.com", language="de")
    producer.send_email(ANA, language="fr")

    assert producer.assert_sent(to=" ana@EXAMPLE.com ", count=2).command.kind is Kind.SEND_EMAIL
    assert producer.assert_sent(language="de").recipient == ANA
    producer.refute_sent(to="ben@example.com")
    producer.refute_sent(to=ANA, language="it")


@pytest.mark.parametrize("wanted", [{"to": "ben@example.com"}, {"count": 2}, {"language": "de"}])
def test_a_missing_message_fails_the_test_and_lists_what_was_sent(
    producer: MemoryProducer, wanted: dict[str, object]
) -> None:
    """A login is not a message."""
    producer.send_email(ANA)
    producer.login_with_email(ANA, "123456")

    with pytest.raises(AssertionError, match=f"found [01]; carried out: send_email to {ANA}, login_with_email to"):
        producer.assert_sent(**wanted)  # type: ignore[arg-type] # any of its arguments


def test_an_unwanted_message_fails_the_test(producer: MemoryProducer) -> None:
    """With any option, and with these options."""
    producer.send_email(ANA, language="de")

    with pytest.raises(AssertionError, match="expected no message, found 1"):
        producer.refute_sent()
    with pytest.raises(AssertionError, match=r"expected no message to ana@example.com with language='de', found 1"):
        producer.refute_sent(ANA, language="de")
    with pytest.raises(AssertionError, match=r"no code arrived for ben@example.com"):
        producer.code_for("ben@example.com")


def test_operations_fail_as_the_test_says(producer: MemoryProducer) -> None:
    """By error class or reason; of one kind or any; once."""
    producer.fail_next(errors.CodeExpired, kind=Kind.LOGIN_WITH_EMAIL)
    producer.fail_next(Reason.ANSWER_LOST)

    with pytest.raises(errors.OutcomeUnknown):
        producer.send_email(ANA).result()
    producer.send_email(ANA).result()
    with pytest.raises(errors.CodeExpired):
        producer.login_with_email(ANA, producer.code_for(ANA)).redeem()
    producer.login_with_email(ANA, producer.code_for(ANA)).redeem()


def test_an_error_that_no_operation_ends_with_is_refused(producer: MemoryProducer) -> None:
    """`Unavailable` concerns Redis."""
    with pytest.raises(ValueError, match="no reason of an operation has the error OperationFailed"):
        producer.fail_next(errors.OperationFailed)


def test_held_operations_wait_for_the_test() -> None:
    """Their handles see `queued`, and cancel works."""
    with MemoryProducer(hold=True) as producer:
        one, two, three = (producer.send_email(f"guest-{n}@example.com") for n in range(3))
        login = producer.login_with_email(ANA, "123456")

        assert [handle.operation_id for handle in producer.queued] == [
            each.operation_id for each in (one, two, three, login)
        ]
        assert one.state() is State.QUEUED
        with pytest.raises(errors.NotFinished):
            one.wait(timeout=0.01)
        assert two.cancel()
        producer.settle(one, State.REJECTED, Reason.RECIPIENT_REJECTED)
        producer.settle(login)
        assert one.wait().reason is Reason.RECIPIENT_REJECTED
        assert login.redeem().access_token
        producer.deliver()
        assert three.state() is State.ACCEPTED
        assert [each.recipient for each in producer.delivered][-1] == "guest-2@example.com"
        producer.refute_sent(to="guest-1@example.com")


def test_a_state_needs_one_of_its_reasons() -> None:
    """A test cannot make an end that Gatepost never gives."""
    with MemoryProducer(hold=True) as producer:
        handle = producer.send_email(ANA)
        with pytest.raises(ValueError, match="the state rejected needs a reason among: recipient_rejected, "):
            producer.settle(handle, State.REJECTED)
        with pytest.raises(ValueError, match="the state queued needs a reason among: none: choose a final state"):
            producer.settle(handle, State.QUEUED)
        producer.settle(handle, State.EXPIRED)
        with pytest.raises(ValueError, match="this operation has ended"):
            producer.settle(handle)

        assert handle.wait().reason is Reason.DEADLINE_PASSED


def test_an_event_loop_has_one_too() -> None:
    """Over the same memory."""

    async def run() -> str:
        async with AsyncMemoryProducer() as producer:
            await producer.send_email(ANA)
            login = await producer.login_with_email(ANA, producer.memory.code_for(ANA))
            return (await login.redeem()).token_type

    assert asyncio.run(run()) == "Bearer"


def test_campaigns_name_the_way_out(producer: Producer) -> None:
    """They need a Redis and workers."""
    with pytest.raises(errors.ConfigurationError, match="gatepost_world"):
        _ = producer.campaigns


def test_it_needs_no_connection_and_no_http_client() -> None:
    """A test suite with it starts fast."""
    program = (
        "import sys\nfrom gatepost.testing import MemoryProducer\n"
        "MemoryProducer().send_email('ana@example.com').result()\n"
        "print([name for name in ('celery', 'kombu', 'requests', 'pytest') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
