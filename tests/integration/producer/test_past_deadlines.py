"""A deadline in the past is a mistake of the caller: refused by every form of the producer, before anything is recorded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import AsyncProducer, Producer, State
from gatepost.errors import InvalidCommand
from gatepost.testing import MemoryProducer
from gatepost_core.kinds import Kind, Queue
from support.keys import KEYS
from support.ledger_calls import begin_attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost_core.settings import Settings

PROBLEM = "^deadline: is in the past; give a later time$"
CALLS: dict[str, tuple[str, ...]] = {
    "send_email": ("ana@example.com",),
    "send_sms": ("+491711234567",),
    "login_with_email": ("ana@example.com", "123456"),
    "login_with_sms": ("+491711234567", "123456"),
}


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


@pytest.fixture(params=[Producer, MemoryProducer])
def producer(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Producer]:
    with request.param(settings) as made:
        yield made


def refused_in_a_loop(settings: Settings, call: str) -> None:
    async def run() -> None:
        async with AsyncProducer(settings) as producer:
            await getattr(producer, call)(*CALLS[call], deadline=ago(90))

    with pytest.raises(InvalidCommand, match=PROBLEM):
        asyncio.run(run())


@pytest.mark.parametrize("call", CALLS)
def test_a_deadline_in_the_past_is_refused(producer: Producer, settings: Settings, call: str) -> None:
    """By sends and logins, with and without asyncio. The error names the field."""
    with pytest.raises(InvalidCommand, match=PROBLEM):
        getattr(producer, call)(*CALLS[call], deadline=ago(90), idempotency_key="a key")
    refused_in_a_loop(settings, call)
    in_time = getattr(producer, call)(*CALLS[call], idempotency_key="a key")

    assert in_time.outcome().state in {State.QUEUED, State.ACCEPTED, State.REJECTED}


def test_nothing_is_recorded_of_a_refused_command(settings: Settings, redis_client: redis.Redis) -> None:
    """Neither an operation nor a message, nor an entry of the recipient."""
    with Producer(settings) as producer:
        producer.send_email("bo@example.com")
        before = set(redis_client.keys())
        with pytest.raises(InvalidCommand):
            producer.send_email("ana@example.com", deadline=ago(90), idempotency_key="a key")

        assert set(redis_client.keys()) == before
        assert producer.ledger.counts() == {(Kind.SEND_EMAIL, State.QUEUED): 1}
        assert redis_client.llen(KEYS.queue(Queue.SEND)) == 1


def test_a_deadline_in_the_past_stops_no_other_command(producer: Producer) -> None:
    """The result of its command has the error, and no id."""
    items = [{"kind": "send_email", "email": f"{name}@example.com"} for name in ("ana", "bo", "cy")]
    items[1]["deadline"] = ago(90).isoformat()
    before, late, after = producer.send_many(items)

    assert str(late.error) == "deadline: is in the past; give a later time"
    assert late.operation_id is None
    assert (before.error, after.error) == (None, None)


def test_a_repeated_call_names_its_operation_after_its_deadline(producer: Producer) -> None:
    """So that a caller who repeats a call, with the deadline of the first one, learns of its operation."""
    first = producer.send_email("ana@example.com", deadline=timedelta(minutes=5), idempotency_key="a key")
    again = producer.send_email("ana@example.com", deadline=ago(90), idempotency_key="a key")

    assert again.operation_id == first.operation_id


def test_a_deadline_that_has_just_passed_expires(make_settings: Callable[..., Settings]) -> None:
    """Clocks differ, and a command takes a while to arrive: up to a minute, it is recorded."""
    with Producer(make_settings()) as producer:
        handle: Any = producer.send_email("ana@example.com", deadline=ago(30))
        begun = begin_attempt(producer.ledger, handle.operation_id, "attempt", lease_s=5)

    assert begun.state is State.EXPIRED
