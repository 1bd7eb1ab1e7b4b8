"""Messages that came back with a restored backup: only a submission says something that the ledger does not, and it is kept as a dead letter."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from kombu.exceptions import KombuError
from redis import Redis
from redis.exceptions import RedisError

from gatepost_core.broker.messages import SUBMIT
from gatepost_core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from gatepost_core.dead_letters import DeadLetters

REASON: Final = "Redis was restored from a backup; this may have been carried out after the backup."


class RestoredQueue:
    """The queues of a Redis broker. A broker of another kind was not restored with Redis, and is left alone."""

    def __init__(self, app: Celery, broker: str) -> None:
        self._app = app
        self._restored = not broker.startswith("amqp")

    def submissions(self) -> int:
        """Return how many submissions wait, or were held by a worker.

        Raises:
            Unavailable: the broker did not answer.
        """
        return sum(_task_of(raw) == SUBMIT for _, raw, _ in self._messages(remove=False))

    def drain(self, letters: DeadLetters) -> int:
        """Take every message of Gatepost off its queue; keep submissions as dead letters, and return how many those were.

        Raises:
            Unavailable: the broker did not answer, or a letter could not be kept; what is left stays on its queue.
        """
        kept = 0
        for queue, raw, remove in self._messages(remove=True):
            if _task_of(raw) == SUBMIT:
                letters.add(_letter_of(raw), reason=REASON, queue=queue)
                kept += 1
            remove()
        return kept

    def _messages(self, *, remove: bool) -> Iterator[tuple[str, bytes, Any]]:
        if not self._restored:
            return
        try:
            with self._app.connection_for_write() as connection:
                # kombu's Redis transport; its own names for its keys.
                channel: Any = connection.default_channel
                # Its client puts the prefix before the keys of some commands only.
                client, prefix = Redis(connection_pool=channel.client.connection_pool), channel.global_keyprefix
                yield from _held(client, prefix + channel.unacked_key, prefix + channel.unacked_index_key)
                for queue in self._app.amqp.queues:
                    for priority in channel.priority_steps:
                        key = prefix + channel._q_for_pri(queue, priority)  # noqa: SLF001 - it has no public name
                        yield from _waiting(client, queue, key, remove=remove)
        except (KombuError, RedisError, OSError) as failure:
            raise Unavailable(f"The broker did not answer ({type(failure).__name__}).") from None


def _waiting(client: Any, queue: str, key: str, *, remove: bool) -> Iterator[tuple[str, bytes, Any]]:
    if not remove:
        for raw in client.lrange(key, 0, -1):
            yield queue, raw, None
        return
    while (raw := client.lindex(key, -1)) is not None:
        yield queue, raw, lambda: client.rpop(key)


def _held(client: Any, key: str, index: str) -> Iterator[tuple[str, bytes, Any]]:
    # Other applications may hold their messages there too.
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


def _letter_of(raw: bytes) -> dict[str, Any]:
    message = json.loads(raw)
    properties = message.get("properties") or {}
    body = message.get("body", "")
    if properties.get("body_encoding") == "base64":
        body = base64.b64decode(body).decode("utf-8", "replace")
    return {
        "headers": message["headers"],
        "properties": {"correlation_id": properties.get("correlation_id")},
        "body": body,
        "content_type": message.get("content-type"),
        "content_encoding": message.get("content-encoding"),
    }
