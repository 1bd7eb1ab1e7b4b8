"""The reconciler beside a backlog: a message on a queue is not published again, and a lost one is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import Producer
from gatepost_core.kinds import Queue
from gatepost_worker.upkeep.reconciler import Reconciler
from support.keys import KEYS
from support.ledger_sweep import swept

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis

    from gatepost_core.ledger import Ledger
    from gatepost_core.ledger.values import Answer
    from gatepost_core.settings import Settings

BACKLOG = 20_000
STEP = 1_000
PAGE = 250
LONG_AGO = 1
QUEUE = KEYS.queue(Queue.SEND)
# Copies one recorded operation and its message, all of them due.
COPY = """
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local id = string.format('00000000-0000-4000-8000-%012d', number)
  redis.call('COPY', KEYS[1], ARGV[1] .. id)
  redis.call('ZADD', KEYS[2], 1, id)
  redis.call('LPUSH', KEYS[3], redis.call('LINDEX', KEYS[3], -1))
end
"""


@pytest.fixture
def backlog(producer: Producer, redis_client: redis.Redis) -> Callable[[int], None]:
    """Makes a number of operations that wait, each with its message."""

    def make(number: int) -> None:
        one = producer.send_email("guest@example.com")
        keys = (KEYS.operation(one.operation_id), KEYS.due, QUEUE)
        for first in range(1, number, STEP):
            last = min(first + STEP, number) - 1
            redis_client.eval(COPY, len(keys), *keys, KEYS.operation(""), first, last)

    return make


@pytest.fixture
def reconciler(producer: Producer, redis_client: redis.Redis) -> Reconciler:
    return Reconciler(producer.app, producer.ledger, redis_client, KEYS)


def pass_by(redis_client: redis.Redis, *operation_ids: str) -> None:
    """Let a minute pass for operations: twice the time after which the reconciler checks them."""
    for operation_id in operation_ids:
        redis_client.hincrby(KEYS.operation(operation_id), "updated", -60_000)


def make_due(redis_client: redis.Redis) -> None:
    """Let the reconciler check every operation in its next run."""
    ids: Any = redis_client.zrange(KEYS.due, 0, -1)
    redis_client.zadd(KEYS.due, dict.fromkeys(ids, LONG_AGO))


def deliver(producer: Producer, *operation_ids: str) -> None:
    """Let messages reach a worker."""
    for operation_id in operation_ids:
        producer.ledger.ready(operation_id, delivered=True)


def messages(redis_client: redis.Redis) -> int:
    return redis_client.llen(QUEUE)


def test_a_backlog_that_waits_is_not_published_again(
    backlog: Callable[[int], None], producer: Producer, reconciler: Reconciler, redis_client: redis.Redis
) -> None:
    """Twenty thousand operations wait for a worker; their messages stay as many, however often the reconciler runs."""
    backlog(BACKLOG)
    make_due(redis_client)

    while producer.ledger.due(1, LONG_AGO):
        assert reconciler.run()

    assert messages(redis_client) == BACKLOG


def test_a_backlog_of_deferred_operations_is_not_published_again(
    producer: Producer, reconciler: Reconciler, redis_client: redis.Redis
) -> None:
    """Those that wait for quota come through the queue again and again; each keeps one message."""
    handles = [producer.send_email(f"guest-{number}@example.com") for number in range(4)]
    deliver(producer, handles[0].operation_id)
    producer.ledger.postpone(handles[0].operation_id, 0, free=True)
    deliver(producer, handles[0].operation_id)
    make_due(redis_client)

    reconciler.run()

    assert messages(redis_client) == len(handles)


def test_a_message_is_lost_once_later_ones_have_come_through(
    producer: Producer, reconciler: Reconciler, redis_client: redis.Redis
) -> None:
    """A queue keeps its order, so a message that later ones have overtaken is not on it any more."""
    lost = producer.send_email("lost@example.com")
    redis_client.delete(QUEUE)
    pass_by(redis_client, lost.operation_id)
    later = producer.send_email("later@example.com")
    producer.send_email("waiting@example.com")
    deliver(producer, later.operation_id)
    make_due(redis_client)

    reconciler.run()

    assert messages(redis_client) == 3


def test_a_message_is_lost_if_its_queue_is_empty(
    producer: Producer, reconciler: Reconciler, redis_client: redis.Redis
) -> None:
    """Nothing comes after it that could show the loss."""
    producer.send_email("lost@example.com")
    redis_client.delete(QUEUE)
    make_due(redis_client)

    reconciler.run()

    assert messages(redis_client) == 1


def test_a_worker_that_has_taken_many_messages_gets_no_copies(
    producer: Producer, reconciler: Reconciler, redis_client: redis.Redis
) -> None:
    """The queue is empty because workers hold its messages, and they still come through."""
    handles = [producer.send_email(f"guest-{number}@example.com") for number in range(2)]
    redis_client.delete(QUEUE)
    pass_by(redis_client, *(handle.operation_id for handle in handles))
    deliver(producer, handles[0].operation_id)
    make_due(redis_client)

    reconciler.run()

    assert messages(redis_client) == 0


def test_a_message_that_the_broker_refused_does_not_wait_for_others(
    producer: Producer, reconciler: Reconciler, redis_client: redis.Redis
) -> None:
    """The producer knows that it is on no queue."""
    refused = producer.send_email("refused@example.com")
    redis_client.delete(QUEUE)
    producer.ledger.unpublished(refused.operation_id)
    producer.send_email("waiting@example.com")
    make_due(redis_client)

    reconciler.run()

    assert messages(redis_client) == 2


def test_a_sweep_whose_answer_was_lost_gives_it_again(producer: Producer) -> None:
    """redis-py repeats the call; without the same answer the message would never be published."""
    operation_id = producer.send_email("lost@example.com").operation_id
    ledger, since = producer.ledger, producer.ledger.now_ms()

    first, again = (ledger.sweep([operation_id], drained=list(Queue), since_ms=since) for _ in range(2))

    assert first == again
    assert swept(ledger, operation_id) == first[operation_id]


class Hours:
    """A clock that advances at every look."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Counting:
    """A ledger that counts the calls of its sweep."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.pages: list[int] = []

    def sweep(self, operation_ids: Sequence[str], **options: object) -> dict[str, Answer]:
        self.pages.append(len(operation_ids))
        return self.ledger.sweep(operation_ids, **options)  # type: ignore[arg-type] # as they came

    def __getattr__(self, name: str) -> object:
        return getattr(self.ledger, name)


def test_a_run_costs_one_script_a_page(
    backlog: Callable[[int], None], producer: Producer, redis_client: redis.Redis
) -> None:
    """One page is one call, so that a large backlog takes few round trips."""
    backlog(PAGE * 4)
    make_due(redis_client)
    ledger = Counting(producer.ledger)

    Reconciler(producer.app, ledger, redis_client, KEYS, clock=Hours(0)).run()  # type: ignore[arg-type] # counts only

    assert ledger.pages == [PAGE] * 4


def test_a_run_ends_after_its_time_and_the_next_one_continues(
    backlog: Callable[[int], None], producer: Producer, redis_client: redis.Redis
) -> None:
    """No operation is looked at twice before each was looked at once."""
    backlog(PAGE * 4)
    make_due(redis_client)
    ledger = Counting(producer.ledger)
    # Its time is over when it looks at the clock for the third time.
    slow = Reconciler(producer.app, ledger, redis_client, KEYS, clock=Hours(0.4))  # type: ignore[arg-type] # counts only

    first = slow.run()
    left = set(producer.ledger.due(BACKLOG, LONG_AGO))
    second = slow.run()

    assert first == second == PAGE * 2
    assert len(left) == PAGE * 2
    assert producer.ledger.due(BACKLOG, LONG_AGO) == []


class SlowSweeps(Counting):
    """Every sweep takes so long that the records it read are due again."""

    def sweep(self, operation_ids: Sequence[str], **options: object) -> dict[str, Answer]:
        answers = super().sweep(operation_ids, **options)
        until = time.monotonic() + 10
        while not self.ledger.due(1) and time.monotonic() < until:
            time.sleep(0.005)
        return answers


def test_a_run_does_not_meet_its_own_work(make_settings: Callable[..., Settings], redis_client: redis.Redis) -> None:
    """Records that it read are due again within the run, and are left to the next run."""
    with Producer(make_settings(republish_after=0.001)) as producer:
        producer.send_email("guest@example.com")
        make_due(redis_client)
        ledger = SlowSweeps(producer.ledger)

        Reconciler(producer.app, ledger, redis_client, KEYS, clock=Hours(0.2)).run()  # type: ignore[arg-type] # counts only

    assert ledger.pages == [1]
