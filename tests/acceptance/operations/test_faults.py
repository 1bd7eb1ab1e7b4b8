"""Real faults: killed workers, a restarted Valkey, a deployment's SIGTERM, lost and doubled messages."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from gatepost import State
from gatepost import errors as e
from gatepost_core.broker.messages import operation_message
from gatepost_core.broker.publishing import publish
from gatepost_core.kinds import Queue
from gatepost_core.reasons import Reason
from support.keys import KEYS

if TYPE_CHECKING:
    from gatepost import Handle
    from support.stack import Stack


def hold_the_answer(stack: Stack, recipient: str, seconds: float) -> None:
    """Let the simulator send the message at once and answer late."""
    stack.simulator.control.script_fault(
        endpoint="/passwordless/start", recipient=recipient, when="after", delay_s=seconds, count=1
    )


def test_a_worker_killed_between_write_and_settle_leaves_unknown_and_no_second_message(stack: Stack) -> None:
    """The message was sent and the answer is lost: the reconciler ends the attempt, and no worker sends again."""
    first = stack.worker()
    stack.beat()
    control = stack.simulator.control
    hold_the_answer(stack, "guest@example.com", 20)
    with stack.producer() as producer:
        handle = producer.send_email("guest@example.com")
        stack.until(lambda: control.count("guest@example.com") == 1, "the message is out", first)

        first.kill()
        stack.worker()
        outcome = handle.wait(120)

        assert (outcome.state, outcome.reason) == (State.UNKNOWN, Reason.WORKER_LOST)
        with pytest.raises(e.OutcomeUnknown):
            producer.app.AsyncResult(handle.operation_id).get(timeout=120)
    assert control.count("guest@example.com") == 1


def test_a_timeout_after_the_write_sends_no_second_message(stack: Stack) -> None:
    """The message was sent and its answer never comes: the call ends with its deadline, as `unknown`."""
    stack.worker()
    with stack.producer() as producer, pytest.raises(e.OutcomeUnknown):
        producer.send_email("guest+hang-after@example.com").result(120)

    assert stack.simulator.control.count("guest+hang-after@example.com") == 1


def test_a_redelivered_message_does_not_send_again(stack: Stack) -> None:
    """The broker gives a killed worker's message to another one; the ledger answers for it."""
    stack.environment["GATEPOST_VISIBILITY_TIMEOUT"] = "10"
    first = stack.worker()
    control = stack.simulator.control
    hold_the_answer(stack, "guest@example.com", 30)
    with stack.producer() as producer, stack.redis() as client:
        handle = producer.send_email("guest@example.com")
        stack.until(lambda: control.count("guest@example.com") == 1, "the message is out", first)
        first.kill()
        assert client.hlen("unacked") == 1

        # No scheduler runs here: only the redelivery can end the operation.
        second = stack.worker()
        stack.until(lambda: handle.state().is_terminal, "the redelivered message was taken", second, timeout=120)

        assert handle.outcome().reason is Reason.WORKER_LOST
        stack.until(lambda: client.hlen("unacked") == 0, "the message is acknowledged", second)
    assert control.count("guest@example.com") == 1


def test_a_doubled_message_sends_once(stack: Stack) -> None:
    """Ten copies of one message, two workers."""
    with stack.producer() as producer:
        handle = producer.send_email("guest@example.com")
        kind = handle.outcome().kind
        for _ in range(10):
            message = operation_message(handle.operation_id)
            publish(producer.app, kind.task, kind.queue, handle.operation_id, message)
        stack.worker()
        stack.worker()
        handle.result(120)
        stack.until(lambda: no_message_left(stack), "every copy was taken")

    assert stack.simulator.control.count("guest@example.com") == 1


def test_a_lost_message_is_published_again(stack: Stack) -> None:
    """The queue is a hint: the reconciler finds operations that were recorded and never begun."""
    with stack.producer() as producer, stack.redis() as client:
        handle = producer.send_email("guest@example.com")
        assert client.delete(KEYS.queue(Queue.SEND)) == 1
        stack.worker()
        stack.beat()

        assert handle.result(120).state is State.ACCEPTED
    assert stack.simulator.control.count("guest@example.com") == 1


def test_a_restarted_valkey_loses_nothing_and_doubles_nothing(stack: Stack) -> None:
    """With attempts under way and messages queued; workers resume by themselves."""
    stack.worker()
    stack.beat()
    recipients = [f"guest-{number}@example.com" for number in range(60)]
    for recipient in recipients[:10]:
        hold_the_answer(stack, recipient, 1)
    with stack.producer() as producer:
        handles = [producer.send_email(recipient) for recipient in recipients]
        stack.until(lambda: stack.simulator.control.counts()["total"] >= 5, "sending has begun")

        stack.valkey.restart()
        states = [wait_through_the_restart(handle) for handle in handles]

        counts = producer.ledger.counts()
    sent = stack.simulator.control.counts_of(recipients)
    assert sum(counts.values()) == len(recipients)
    assert max(sent.values()) == 1
    for recipient, state in zip(recipients, states, strict=True):
        assert state in {State.ACCEPTED, State.UNKNOWN}
        assert sent[recipient] == 1 or state is State.UNKNOWN


def test_sigterm_finishes_what_is_under_way_and_leaves_the_rest(stack: Stack) -> None:
    """A deployment: nothing lost, nothing doubled, nothing unknown."""
    first = stack.worker()
    recipients = [f"guest-{number}@example.com" for number in range(30)]
    for recipient in recipients:
        hold_the_answer(stack, recipient, 0.5)
    with stack.producer() as producer:
        handles = [producer.send_email(recipient) for recipient in recipients]
        stack.until(lambda: stack.simulator.control.counts()["total"] >= 8, "a full house is under way", first)

        first.terminate()
        assert first.wait(120) == 0
        after_the_first = [handle.state() for handle in handles]
        stack.worker()
        for handle in handles:
            handle.result(120)

    assert State.IN_FLIGHT not in after_the_first
    assert State.QUEUED in after_the_first
    assert set(stack.simulator.control.counts_of(recipients).values()) == {1}


def test_sigquit_ends_at_once_and_what_is_under_way_is_unknown(stack: Stack) -> None:
    """Neither the call under way nor its message is waited for, and another worker does not send again."""
    first = stack.worker()
    recipient = "guest@example.com"
    hold_the_answer(stack, recipient, 20)
    with stack.producer() as producer:
        handle = producer.send_email(recipient)
        stack.until(lambda: handle.state() is State.IN_FLIGHT, "the call is under way", first)

        first.process.send_signal(signal.SIGQUIT)
        assert first.wait(15) == 1
        stack.worker()
        stack.beat()
        outcome = handle.wait(120)

    assert outcome.state is State.UNKNOWN
    assert "Traceback" not in first.output()
    assert "NotImplementedError" not in first.output()
    assert stack.simulator.control.counts_of([recipient])[recipient] <= 1


def no_message_left(stack: Stack) -> bool:
    with stack.redis() as client:
        return client.llen(KEYS.queue(Queue.SEND)) == 0 and client.hlen("unacked") == 0


def wait_through_the_restart(handle: Handle) -> State:
    give_up = time.monotonic() + 60
    while True:
        try:
            return handle.wait(120).state
        except e.Unavailable:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def test_the_counts_of_the_ledger_and_the_outbox_agree_after_all(stack: Stack) -> None:
    """A mixture of every kind of failure: the states add up to the number of operations, and agree with the outbox."""
    tags = ["", "bad-email", "503-after", "drop-after", "429-once", "captcha", "drop-before", "reset-after"]
    recipients = [
        f"guest-{number}+{tag}@example.com" if tag else f"guest-{number}@example.com"
        for number in range(5)
        for tag in tags
    ]
    stack.worker()
    stack.worker()
    with stack.producer() as producer:
        outcomes = {
            recipient: handle.wait(120)
            for recipient, handle in [(recipient, producer.send_email(recipient)) for recipient in recipients]
        }
        counts = producer.ledger.counts()

    sent = stack.simulator.control.counts_of(recipients)
    assert sum(counts.values()) == len(recipients)
    assert max(sent.values()) == 1
    for recipient, outcome in outcomes.items():
        if outcome.state is State.ACCEPTED:
            assert sent[recipient] == 1
        if sent[recipient]:
            assert outcome.state in {State.ACCEPTED, State.UNKNOWN}
