"""Empty the queues of a Redis broker that was restored from a backup. Submissions become dead letters, because the ledger does not have them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from gatepost_core.broker.message_validation import Malformed
from gatepost_core.broker.messages import SUBMIT
from gatepost_core.broker.publishing import BROKER_ERRORS
from gatepost_core.redis.errors import broker_error
from gatepost_operations.maintenance.dead_letters import message_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from gatepost_core.dead_letters import DeadLetters

REASON: Final = "Redis was restored from a backup; this may have been carried out after the backup."


class QueueDrain:
    """Drains the queues of a Redis broker, also on another server, whose backup may be restored too. It leaves the queues of RabbitMQ alone."""

    def __init__(self, app: Celery, broker: str) -> None:
        self._app = app
        self._restored = not broker.startswith("amqp")

    def submissions(self) -> int:
        """Return how many submissions are queued or were held by a worker.

        Raises:
            Unavailable: the broker did not answer.
        """
        return sum(_task_of(raw) == SUBMIT for _, raw, _ in self._messages(remove=False))

    def drain(self, letters: DeadLetters) -> int:
        """Remove every message of Gatepost from its queue, keep submissions as dead letters, and return how many there were.

        Raises:
            Unavailable: the broker did not answer, or a letter could not be stored. The remaining messages stay on their queues.
        """
        kept = 0
        for queue, raw, remove in self._messages(remove=True):
            if _task_of(raw) == SUBMIT:
                letters.add(_letter_of(raw.decode("utf-8", "replace")), reason=REASON, queue=queue)
                kept += 1
            remove()
        return kept

    def _messages(self, *, remove: bool) -> Iterator[tuple[str, bytes, Any]]:
        if not self._restored:
            return
        try:
            with self._app.connection_for_write() as connection:
                channel: Any = connection.default_channel
                # kombu's client adds the prefix in some commands only.
                client, prefix = Redis(connection_pool=channel.client.connection_pool), channel.global_keyprefix
                yield from _held(client, prefix + channel.unacked_key, prefix + channel.unacked_index_key)
                for queue in self._app.amqp.queues:
                    for priority in channel.priority_steps:
                        key = prefix + channel._q_for_pri(queue, priority)  # noqa: SLF001 - kombu has no public name for it
                        yield from _waiting(client, queue, key, remove=remove)
        except BROKER_ERRORS as failure:
            raise broker_error(failure) from None


def _waiting(client: Any, queue: str, key: str, *, remove: bool) -> Iterator[tuple[str, bytes, Any]]:
    if not remove:
        for raw in client.lrange(key, 0, -1):
            yield queue, raw, None
        return
    while (raw := client.lindex(key, -1)) is not None:
        yield queue, raw, lambda: client.rpop(key)


def _held(client: Any, key: str, index: str) -> Iterator[tuple[str, bytes, Any]]:
    # Other applications can hold their messages in the same hash.
    for tag, text in client.hgetall(key).items():
        try:
            message, _, queue = json.loads(text)[:3]
        except (ValueError, TypeError):
            continue
        raw = json.dumps(message).encode()
        if str(_task_of(raw)).startswith("gatepost."):

            def remove(tag: Any = tag) -> None:
                client.hdel(key, tag)
                client.zrem(index, tag)

            yield queue, raw, remove


def _task_of(raw: bytes) -> Any:
    try:
        return json.loads(raw)["headers"]["task"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _letter_of(raw: str) -> dict[str, Any]:
    try:
        return message_of(raw)
    except Malformed:
        return {"raw": raw}
