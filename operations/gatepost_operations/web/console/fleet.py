"""The queues, the messages that workers hold, and the reconciler, as Redis shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatepost_core.kinds import Queue
from gatepost_core.redis.connections import connect_to_broker
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import as_text, moment

if TYPE_CHECKING:
    from datetime import datetime

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.settings import Settings


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue.

    Attributes:
        name: the name.
        waiting: messages that wait; None for RabbitMQ, which does not tell Redis.
        delivered_at: when a message last reached a worker.
    """

    name: str
    waiting: int | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Fleet:
    """The state of queues and upkeep.

    Attributes:
        queues: the queues.
        held: messages that workers hold; None for RabbitMQ.
        open_operations: operations that have not ended.
        active_campaigns: campaigns that have started and not ended.
        bulk_processes: worker processes that took a batch lately.
        reconciled_at: when the reconciler last ran.
    """

    queues: tuple[QueueState, ...]
    held: int | None
    open_operations: int
    active_campaigns: int
    bulk_processes: int
    reconciled_at: datetime | None


def read_fleet(client: Redis, keys: RedisKeys, settings: Settings) -> Fleet:
    """Read the state from Redis, and from the broker if that is another Redis.

    Raises:
        Unavailable: Redis did not answer.
    """
    with translated_errors():
        with client.pipeline(transaction=False) as pipeline:
            pipeline.zcard(keys.due)
            pipeline.zcard(keys.active_campaigns)
            pipeline.zcard(keys.bulk_workers)
            pipeline.get(keys.reconciler_last_run)
            pipeline.hmget(keys.delivered, [f"{queue.value}:at" for queue in Queue])
            open_operations, active, bulk, reconciled, delivered = pipeline.execute()
        waiting, held = _waiting(client, keys, settings)
    queues = [
        QueueState(keys.queue(queue), number, _moment(at))
        for queue, number, at in zip(Queue, waiting, delivered, strict=True)
    ]
    return Fleet(tuple(queues), held, open_operations, active, bulk, _moment(reconciled))


def _waiting(client: Redis, keys: RedisKeys, settings: Settings) -> tuple[list[int | None], int | None]:
    """Return the length of each queue and the number of held messages. A Redis broker has them."""
    url = settings.redis_url.get_secret_value()
    if settings.broker == url:
        return _lengths(client, keys)
    broker = connect_to_broker(settings)
    if broker is None:
        return [None] * len(Queue), None
    with broker:
        return _lengths(broker, keys)


def _lengths(client: Redis, keys: RedisKeys) -> tuple[list[int | None], int | None]:
    with client.pipeline(transaction=False) as pipeline:
        for queue in Queue:
            pipeline.llen(keys.queue_key(keys.queue(queue)))
        pipeline.hlen(f"{keys.of_libraries}unacked")
        *lengths, held = pipeline.execute()
    return lengths, held


def _moment(stored: Any) -> datetime | None:
    return None if stored is None else moment(as_text(stored))
