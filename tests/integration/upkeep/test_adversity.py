"""The reconciler continues when Redis is full, and after a damaged record."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import Producer, State
from gatepost.errors import Unavailable
from gatepost_core.broker.messages import RECONCILE, operation_message
from gatepost_core.broker.publishing import build_app, publish
from gatepost_core.campaigns.store import SWEPT_PAGE
from gatepost_core.kinds import Kind, Queue
from gatepost_core.ledger import Ledger
from gatepost_core.reasons import Reason
from gatepost_worker.bulk.sweep import CampaignSweep
from gatepost_worker.upkeep.reconciler import Reconciler
from support.keys import KEYS
from support.ledger_calls import begin_attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis
    from celery import Celery

    from gatepost import Handle
    from gatepost_core.ledger.values import Answer
    from gatepost_core.settings import Settings


# Celery's own call.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(republish_after=0.3)


def state_and_reason(handle: Handle) -> tuple[State, Reason | None]:
    outcome = handle.outcome()
    return outcome.state, outcome.reason


def test_what_is_over_ends_and_what_was_lost_is_published_again(
    app: Celery, producer: Producer, redis_client: redis.Redis, fill: Callable[[], None]
) -> None:
    """A passed deadline, the attempt of a worker that is gone, a lost message: all without memory for anything new."""
    with app.connection_for_write() as connection:
        # As every worker does when it starts.
        app.amqp.queues[Queue.SEND](connection.default_channel).declare()
    late = producer.send_email("late@example.com", deadline=datetime.now(UTC) + timedelta(milliseconds=200))
    begun = producer.send_email("begun@example.com")
    begin_attempt(producer.ledger, begun.operation_id, "an attempt", 0.2)
    lost = producer.send_email("lost@example.com")
    redis_client.delete(KEYS.queue(Queue.SEND))
    while len(producer.ledger.due(10)) < 3:
        time.sleep(0.01)

    fill()
    looked_at = Reconciler(app, producer.ledger, redis_client, KEYS).run()

    published = b"".join(redis_client.lrange(KEYS.queue(Queue.SEND), 0, -1))
    assert looked_at == 3
    assert state_and_reason(late) == (State.EXPIRED, Reason.DEADLINE_PASSED)
    assert state_and_reason(begun) == (State.UNKNOWN, Reason.WORKER_LOST)
    assert lost.operation_id.encode() in published
    assert redis_client.exists(KEYS.reconciler_last_run)


def test_the_schedulers_message_is_queued(
    app: Celery, settings: Settings, redis_client: redis.Redis, fill: Callable[[], None]
) -> None:
    """Beat publishes with the worker's app; over a connection that it opens only now, when others have bound the queue."""
    with build_app(settings) as producers:
        publish(producers, RECONCILE, Queue.LOGIN, "tick-1", {})
        fill()
        with pytest.raises(Exception, match="maxmemory"):
            publish(producers, RECONCILE, Queue.LOGIN, "tick-2", {})

    publish(app, RECONCILE, Queue.LOGIN, "tick-3", {})

    assert redis_client.llen(KEYS.queue(Queue.LOGIN)) == 2


def test_a_queue_that_was_never_bound_takes_nothing_in_silence(app: Celery, fill: Callable[[], None]) -> None:
    """Kombu drops messages to an exchange without a queue, so the first binding must not be skipped."""
    fill()

    with pytest.raises(Exception, match="maxmemory"):
        publish(app, RECONCILE, Queue.LOGIN, "tick-1", {})


def test_only_one_sweeps_at_a_time(
    app: Celery, producer: Producer, redis_client: redis.Redis, fill: Callable[[], None]
) -> None:
    """With and without memory, the second run finds the first one's lock."""
    handle = producer.send_email("late@example.com", deadline=datetime.now(UTC) + timedelta(milliseconds=1))
    redis_client.set("gatepost:reconciler:lock", "another", px=60_000)
    fill()
    time.sleep(0.01)

    assert Reconciler(app, producer.ledger, redis_client, KEYS).run() == 0
    assert handle.state() is State.QUEUED


def test_a_damaged_record_hinders_no_other(app: Celery, producer: Producer, redis_client: redis.Redis) -> None:
    """A damaged record is set aside, logged, and read again later."""
    spoiled = producer.send_email("spoiled@example.com")
    redis_client.hset(f"gatepost:operation:{spoiled.operation_id}", "deadline", "never")
    other = producer.send_email("other@example.com", deadline=datetime.now(UTC) + timedelta(milliseconds=1))
    while len(producer.ledger.due(10)) < 2:
        time.sleep(0.01)

    Reconciler(app, producer.ledger, redis_client, KEYS).run()

    assert other.state() is State.EXPIRED
    assert producer.ledger.due(10) == []
    redis_client.hset(f"gatepost:operation:{spoiled.operation_id}", "deadline", 1)
    redis_client.zadd("gatepost:operations:due", {spoiled.operation_id: 0})
    Reconciler(app, producer.ledger, redis_client, KEYS).run()
    assert spoiled.state() is State.EXPIRED


class Silent(Ledger):
    """A ledger whose Redis does not answer one sweep."""

    def sweep(self, operation_ids: Sequence[str], **_options: object) -> dict[str, Answer]:
        raise Unavailable(operation_ids[0])


def test_a_redis_that_does_not_answer_for_once_sets_nothing_aside(
    app: Celery, producer: Producer, redis_client: redis.Redis
) -> None:
    """The operation is well: the next run looks at it again, and does not wait for half an hour."""
    handle = producer.send_email("guest@example.com")
    while not producer.ledger.due(10):
        time.sleep(0.01)
    silent = Silent(redis_client, KEYS, record_lifetime_s=60, republish_after_s=30)

    with pytest.raises(Unavailable):
        Reconciler(app, silent, redis_client, KEYS).run()

    assert producer.ledger.due(10) == [handle.operation_id]


def test_a_message_of_the_workers_own_is_as_before(
    app: Celery, redis_client: redis.Redis, fill: Callable[[], None]
) -> None:
    """The one published without memory is the same as the one with it."""
    bodies = []
    for prepare in (lambda: None, fill):
        prepare()
        publish(app, Kind.SEND_EMAIL.task, Queue.SEND, "task-1", operation_message("operation-1"))
        bodies.append(redis_client.rpop(KEYS.queue(Queue.SEND)))

    assert len(bodies[0]) == len(bodies[1])


class LongCampaign:
    """A cancelled campaign with three pages of lost batches."""

    def __init__(self) -> None:
        self.pages = [SWEPT_PAGE, SWEPT_PAGE, 0]
        self.closed = 0

    def active_ids(self) -> list[str]:
        return ["a campaign"]

    def sweep(self, _campaign_id: str) -> tuple[str, int, int, bool]:
        looked_at = self.pages.pop(0)
        return "cancelling", looked_at, looked_at, True

    def close(self, _campaign_id: str) -> int:
        self.closed += 1
        return 0

    def feed(self, _campaign_id: str) -> int:
        return 0


def test_a_campaign_is_closed_once_a_sweep(redis_client: redis.Redis) -> None:
    """Closing looks at every batch there is, and pages of lost ones are many."""
    campaign: Any = LongCampaign()

    CampaignSweep(redis_client, KEYS, campaign, campaign).run()

    assert (campaign.pages, campaign.closed) == ([], 1)
