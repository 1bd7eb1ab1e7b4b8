"""How a worker takes messages from Redis: several at a time, recorded before they are delivered, and removed once they are acknowledged."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import kombu
import pytest
from kombu.asynchronous import Hub

from gatepost_core.kinds import Queue
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis
    from celery import Celery

LOGIN, SEND = KEYS.queue(Queue.LOGIN), KEYS.queue(Queue.SEND)


def push(client: redis.Redis, queue: str, *texts: str) -> None:
    """Put messages onto a queue, the first one in front."""
    for text in texts:
        envelope = {
            "body": json.dumps([[], {"text": text}, {}]),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"id": str(uuid.uuid4()), "task": "gatepost.reconcile"},
            "properties": {
                "body_encoding": "utf-8",
                "delivery_tag": text,
                "delivery_info": {"exchange": queue, "routing_key": queue},
            },
        }
        client.lpush(queue, json.dumps(envelope))


def text_of(message: Any) -> str:
    return str(message.payload[1]["text"])


def unacknowledged(client: redis.Redis) -> list[str]:
    """The texts of the messages that Redis has recorded as taken. The index and the records name the same ones."""
    records = client.hgetall("unacked")
    assert set(records) == set(client.zrange("unacked_index", 0, -1))
    return sorted(json.loads(json.loads(record)[0]["body"])[1]["text"] for record in records.values())


class Taker:
    """A consumer with free slots that keeps what it takes."""

    def __init__(self, connection: Any, channel: Any, client: redis.Redis, slots: int, queues: list[str]) -> None:
        self._connection, self._client = connection, client
        self.messages: list[Any] = []
        self.recorded: list[list[str]] = []
        self._consumer = kombu.Consumer(
            channel,
            [kombu.Queue(name) for name in queues],
            on_message=self._take,
            accept=["json"],
            prefetch_count=slots,
        )

    def _take(self, message: Any) -> None:
        self.messages.append(message)
        self.recorded.append(unacknowledged(self._client))

    def poll(self) -> list[str]:
        """Wait for messages, and return the texts of all that one poll brought."""
        before = len(self.messages)
        with self._consumer:
            self._connection.drain_events(timeout=10)
        return [text_of(message) for message in self.messages[before:]]


@contextmanager
def taking(app: Celery, client: redis.Redis, *, slots: int, queues: list[str]) -> Iterator[Taker]:
    with app.connection_for_read() as connection, connection.channel() as channel:
        yield Taker(connection, channel, client, slots, queues)


def test_a_poll_fills_all_free_slots_and_no_more(app: Celery, redis_client: redis.Redis) -> None:
    """The rest stays on the queue, for other workers."""
    push(redis_client, SEND, *"abcdef")
    with taking(app, redis_client, slots=4, queues=[SEND]) as taker:
        taken = taker.poll()
        left = redis_client.llen(SEND)

    assert taken == ["a", "b", "c", "d"]
    assert left == 2


def test_queues_take_turns_in_a_poll(app: Celery, redis_client: redis.Redis) -> None:
    """A full queue of sends does not delay a login."""
    push(redis_client, SEND, *"abcdef")
    push(redis_client, LOGIN, "x", "y")
    with taking(app, redis_client, slots=6, queues=[SEND, LOGIN]) as taker:
        taken = taker.poll()

    assert taken in (["a", "x", "b", "y", "c", "d"], ["x", "a", "y", "b", "c", "d"])


def test_messages_are_recorded_before_the_first_is_delivered(app: Celery, redis_client: redis.Redis) -> None:
    """A worker that dies leaves a record of each."""
    push(redis_client, SEND, *"abc")
    with taking(app, redis_client, slots=8, queues=[SEND]) as taker:
        taker.poll()

    assert taker.recorded == [["a", "b", "c"]] * 3


def test_an_acknowledged_message_has_no_record(app: Celery, redis_client: redis.Redis) -> None:
    """Without an event loop its record goes at once."""
    push(redis_client, SEND, *"abc")
    with taking(app, redis_client, slots=8, queues=[SEND]) as taker:
        taker.poll()
        taker.messages[1].ack()
        left = unacknowledged(redis_client)

    assert left == ["a", "c"]


def test_an_event_loop_removes_the_records_of_several_at_once(app: Celery, redis_client: redis.Redis) -> None:
    """It does so before it waits for the next messages, so that none is left while a worker is idle."""
    push(redis_client, SEND, *"abc")
    hub = Hub()
    with taking(app, redis_client, slots=8, queues=[SEND]) as taker:
        taker.poll()
        transport = taker.messages[0].channel.connection
        transport.register_with_event_loop(transport.client.connection, hub)
        calls = redis_client.info("commandstats").get("cmdstat_hdel", {}).get("calls", 0)
        for message in taker.messages:
            message.ack()
        before = unacknowledged(redis_client)
        for tick in list(hub.on_tick):
            tick()
        after = unacknowledged(redis_client)
        calls = redis_client.info("commandstats")["cmdstat_hdel"]["calls"] - calls
    hub.close()

    assert (before, after, calls) == (["a", "b", "c"], [], 1)


def test_a_record_that_could_not_be_removed_is_removed_later(app: Celery, redis_client: redis.Redis) -> None:
    """While the broker is away, the worker goes on; a record that stays would bring the message again."""
    push(redis_client, SEND, "a", "b")
    with taking(app, redis_client, slots=8, queues=[SEND]) as taker:
        taker.poll()
        redis_client.config_set("maxclients", 1)
        try:
            redis_client.client_kill_filter(_type="normal", skipme=True)
            taker.messages[0].ack()
        finally:
            redis_client.config_set("maxclients", 10_000)
        while_away = unacknowledged(redis_client)
        taker.messages[1].ack()
        after = unacknowledged(redis_client)

    assert (while_away, after) == (["a", "b"], [])


@pytest.mark.parametrize("unknown", [False, True])
def test_a_script_that_redis_has_forgotten_takes_messages_too(
    app: Celery, redis_client: redis.Redis, *, unknown: bool
) -> None:
    """A restarted Redis knows no scripts."""
    push(redis_client, SEND, "a", "b")
    if unknown:
        redis_client.script_flush()
    with taking(app, redis_client, slots=8, queues=[SEND]) as taker:
        taken = taker.poll()

    assert taken == ["a", "b"]


def test_an_envelope_that_cannot_be_read_hides_no_other(app: Celery, redis_client: redis.Redis) -> None:
    """It becomes a dead letter; those before and after it are delivered."""
    push(redis_client, SEND, "a")
    redis_client.lpush(SEND, "not JSON")
    push(redis_client, SEND, "b")
    with taking(app, redis_client, slots=8, queues=[SEND]) as taker:
        taken = taker.poll()

    assert taken == ["a", "b"]
    assert redis_client.zcard(KEYS.dead_letters) == 1
