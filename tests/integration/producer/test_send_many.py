"""Many commands in few round trips: each gets its result, also when Redis goes away in between."""

from __future__ import annotations

import asyncio
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from gatepost import AsyncProducer, Producer, State
from gatepost.errors import CorruptRecord, IdempotencyConflict, InvalidCommand, OperationNotFound, Unavailable
from gatepost_core.broker.messages import operation_message
from gatepost_core.broker.operation_messages import envelope
from gatepost_core.broker.publishing import publish
from gatepost_core.kinds import Kind, Queue
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_worker.upkeep.reconciler import Reconciler
from support.error_tracker import frames_of_ours
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    import redis
    from celery import Celery

    from gatepost_core.settings import Settings

CHUNK = 100
QUEUE = KEYS.queue(Queue.SEND)


def sends(number: int, start: int = 0) -> Iterator[dict[str, Any]]:
    for n in range(start, start + number):
        yield {"kind": "send_email", "email": f"guest-{n}@example.com", "idempotency_key": f"guest {n}"}


@pytest.fixture
def producer(settings: Settings) -> Iterator[Producer]:
    with Producer(settings) as made:
        yield made


@pytest.fixture(params=[0, 1], ids=["the ledger's Redis is the broker", "another Redis is the broker"])
def brokered(
    request: pytest.FixtureRequest, make_settings: Callable[..., Settings], valkey: EmbeddedValkey
) -> Iterator[tuple[Producer, redis.Redis]]:
    """A producer, and its broker: the database of the ledger, or another one."""
    url = f"{valkey.url.rpartition('/')[0]}/{request.param}"
    with Producer(make_settings(broker_url=url)) as made, Redis.from_url(url) as broker:
        yield made, broker
        broker.flushdb()


def test_each_command_is_recorded_and_published_once(brokered: tuple[Producer, redis.Redis]) -> None:
    """More than two round trips of them, in their order."""
    producer, broker = brokered

    results = list(producer.send_many(sends(250)))

    published = [json.loads(message)["headers"]["id"] for message in broker.lrange(QUEUE, 0, -1)]
    assert [result.error for result in results] == [None] * 250
    assert published[::-1] == [result.operation_id for result in results]
    assert producer.ledger.counts() == {(Kind.SEND_EMAIL, State.QUEUED): 250}


def test_one_script_records_and_publishes_a_hundred_commands(producer: Producer, redis_client: redis.Redis) -> None:
    """So no failure of the producer leaves a record without its message, where the ledger's Redis is the broker."""
    list(producer.send_many(sends(1)))
    redis_client.config_resetstat()

    list(producer.send_many(sends(CHUNK, start=1)))

    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == 1
    assert redis_client.llen(QUEUE) == CHUNK + 1


def test_known_keys_name_their_operations_and_publish_nothing(brokered: tuple[Producer, redis.Redis]) -> None:
    """A second call gives the same ids; a key that was used with another command is refused."""
    producer, broker = brokered
    first = list(producer.send_many(sends(3)))
    other = {"kind": "send_email", "email": "other@example.com", "idempotency_key": "guest 0"}

    again = list(producer.send_many([*sends(3), other]))

    assert [result.operation_id for result in again[:3]] == [result.operation_id for result in first]
    assert [result.existed for result in again[:3]] == [True] * 3
    assert isinstance(again[3].error, IdempotencyConflict)
    assert again[3].operation_id is None
    assert broker.llen(QUEUE) == 3


def test_a_key_twice_in_one_call_is_one_operation(producer: Producer) -> None:
    """Also within one round trip."""
    (one,) = sends(1)

    first, second = producer.send_many([one, one])

    assert (first.existed, second.existed) == (False, True)
    assert first.operation_id == second.operation_id


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "send_email", "email": "no address"},
        {"kind": "send_pigeon"},
        {"kind": "send_email", "email": "guest@example.com", "idempotency_key": 7},
        "guest@example.com",
    ],
    ids=["value", "kind", "key", "form"],
)
def test_a_wrong_command_stops_no_other(producer: Producer, wrong: Any) -> None:
    """Its result names the field and never a value, and holds no frame with the others."""
    before, result, after = producer.send_many([*sends(1), wrong, *sends(1, start=1)])

    assert isinstance(result.error, InvalidCommand)
    assert result.error.__traceback__ is None
    assert "no address" not in str(result.error)
    assert (before.error, after.error) == (None, None)


def test_a_damaged_index_stops_no_other_command(
    producer: Producer, settings: Settings, redis_client: redis.Redis
) -> None:
    """Its command is not recorded, and the error says so."""
    redis_client.set(KEYS.recipients(settings.fingerprints().operation("guest-1@example.com")), "no index")

    before, result, after = producer.send_many(sends(3))

    assert isinstance(result.error, CorruptRecord)
    assert (before.error, after.error) == (None, None)
    assert producer.ledger.counts() == {(Kind.SEND_EMAIL, State.QUEUED): 2}
    assert redis_client.llen(QUEUE) == 2


def test_items_are_read_one_round_trip_at_a_time(producer: Producer) -> None:
    """So memory does not grow with their number."""
    items = sends(10 * CHUNK)

    results = list(islice(producer.send_many(items), 1))

    assert len(results) == 1
    assert len(list(items)) == 9 * CHUNK


def test_a_caller_of_asyncio_gets_the_same(settings: Settings) -> None:
    """From a list, and from an asynchronous iterable."""

    async def asynchronous() -> AsyncIterator[dict[str, Any]]:
        for item in sends(CHUNK + 1):
            yield item

    async def both() -> list[list[Any]]:
        async with AsyncProducer(settings) as producer:
            return [
                [result async for result in producer.send_many(items)] for items in (sends(CHUNK + 1), asynchronous())
            ]

    first, again = asyncio.run(both())

    assert [result.operation_id for result in first] == [result.operation_id for result in again]
    assert {result.existed for result in again} == {True}


def broken(before: int) -> Iterator[dict[str, Any]]:
    yield from sends(before)
    raise LookupError("the cursor is closed")


async def broken_asynchronous(before: int) -> AsyncIterator[dict[str, Any]]:
    for item in broken(before):
        yield item


def from_a_loop(settings: Settings, items: Any, results: list[Any]) -> None:
    """Append the results that `AsyncProducer.send_many` yields for these items."""

    async def run() -> None:
        async with AsyncProducer(settings) as producer:
            async for result in producer.send_many(items):
                results.append(result)  # noqa: PERF401 - those before an error count

    asyncio.run(run())


def from_a_thread(settings: Settings, items: Any, results: list[Any]) -> None:
    """Append the results that `Producer.send_many` yields for these items."""
    with Producer(settings) as producer:
        for result in producer.send_many(items):
            results.append(result)  # noqa: PERF402 - as above


@pytest.mark.parametrize("before", [0, 1, CHUNK, CHUNK + 50])
@pytest.mark.parametrize(
    ("send", "items"),
    [(from_a_thread, broken), (from_a_loop, broken), (from_a_loop, broken_asynchronous)],
    ids=["Producer", "AsyncProducer", "AsyncProducer, asynchronous items"],
)
def test_commands_before_an_error_of_the_items_are_enqueued(
    settings: Settings, redis_client: redis.Redis, send: Any, items: Any, before: int
) -> None:
    """Each gets its result. Then the caller's own error is raised, unchanged and without frames of Gatepost that hold items."""
    results: list[Any] = []
    with pytest.raises(LookupError, match="the cursor is closed") as failure:
        send(settings, items(before), results)

    assert [result.error for result in results] == [None] * before
    assert redis_client.llen(QUEUE) == before
    assert frames_of_ours(failure.value) == []


def test_redis_goes_away_in_between_and_each_result_says_what_was_recorded(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """Those before are recorded. Those that got an error have an id, under which it can be looked up whether they were."""
    with EmbeddedValkey(tmp_path) as valkey, Producer(make_settings(redis_url=valkey.url)) as producer:
        results = []
        for number, result in enumerate(producer.send_many(sends(3 * CHUNK))):
            results.append(result)
            if number == CHUNK - 1:
                valkey.stop()
            if number == 2 * CHUNK - 1:
                valkey.start()

        first, lost, last = results[:CHUNK], results[CHUNK : 2 * CHUNK], results[2 * CHUNK :]
        assert {result.error for result in [*first, *last]} == {None}
        assert {type(result.error) for result in lost} <= {Unavailable}
        assert {producer.handle(result.operation_id or "").state() for result in [*first, *last]} == {State.QUEUED}
        for result in lost:
            with pytest.raises(OperationNotFound):
                producer.handle(result.operation_id or "").outcome()
        repeated = list(producer.send_many(sends(3 * CHUNK)))
        assert [result.existed for result in repeated] == [True] * CHUNK + [False] * CHUNK + [True] * CHUNK


def test_recorded_commands_that_the_broker_refused_are_published_by_the_reconciler(
    app: Celery, make_settings: Callable[..., Settings], redis_client: redis.Redis
) -> None:
    """The caller gets ids and no error: the commands are recorded, and will be sent."""
    with Producer(make_settings(broker_url="redis://127.0.0.1:1/0")) as producer:
        results = list(producer.send_many(sends(3)))
        redis_client.zadd(KEYS.due, {result.operation_id or "": 1 for result in results})

        Reconciler(app, producer.ledger, redis_client, KEYS).run()

    assert [result.error for result in results] == [None] * 3
    assert redis_client.llen(QUEUE) == 3


def test_commands_whose_queue_takes_no_message_are_published_by_the_reconciler(
    app: Celery, producer: Producer, redis_client: redis.Redis
) -> None:
    """The queue is in the ledger's Redis and is damaged. The log names each command that waits."""
    redis_client.set(QUEUE, "no list")
    with capture_logs() as logs:
        results = list(producer.send_many(sends(3)))
    noted = {redis_client.hget(KEYS.operation(result.operation_id or ""), "published_at") for result in results}
    redis_client.delete(QUEUE)
    redis_client.zadd(KEYS.due, {result.operation_id or "": 1 for result in results})

    Reconciler(app, producer.ledger, redis_client, KEYS).run()

    assert [result.error for result in results] == [None] * 3
    assert [log["event"] for log in logs] == ["publish.postponed"] * 3
    assert noted == {b"0"}
    assert {log["correlation_id"] for log in logs} == {result.operation_id for result in results}
    assert redis_client.llen(QUEUE) == 3


@pytest.mark.parametrize("kind", Kind)
def test_a_prepared_message_is_the_one_that_kombu_writes(
    producer: Producer, redis_client: redis.Redis, kind: Kind
) -> None:
    """A later version of Celery or kombu may change the form."""
    operation_id = "7a0c1c1e-0000-4000-8000-000000000000"
    publish(producer.app, kind.task, kind.queue, operation_id, operation_message(operation_id))
    queue = KEYS.queue(kind.queue)

    theirs, ours = json.loads(redis_client.lpop(queue) or ""), json.loads(envelope(kind, queue, operation_id))

    del ours["properties"]["delivery_tag"], theirs["properties"]["delivery_tag"]
    assert ours == theirs
