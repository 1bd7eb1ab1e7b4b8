"""Checks of message envelopes as they leave Redis, before kombu builds a message from them.

On Redis the envelope is JSON that any client can write. If it is not JSON, or lacks `properties`, `delivery_tag` or `delivery_info`, kombu
raises in the consumer's loop: the message is lost and the connection restarts. RabbitMQ writes its envelopes itself, so only the Redis
transports need this.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import structlog
from kombu.transport import redis as kombu_redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from gatepost_core.broker.message_validation import LONGEST_ENVELOPE, PLAIN_TEXT, flaw_of_envelope
from gatepost_core.errors import Unavailable
from gatepost_worker.celery_guard.redis_outages import PUSH, tolerant_channel
from gatepost_worker.celery_guard.taken_messages import TakesSeveral

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery import Celery


_log = structlog.stdlib.get_logger("gatepost.worker")
_PAUSE_S: Final = 0.2


class DeadLetterEnvelope(Protocol):
    """Stores an envelope that cannot be read."""

    def __call__(self, raw: str, *, reason: str, queue: str) -> None:
        """Store the raw text with the reason and the name of its queue."""


def install(app: Celery, dead_letter: DeadLetterEnvelope) -> None:
    """Let the app's consumers check envelopes that they read from Redis. Other brokers keep their transport."""
    scheme = str(app.conf["broker_url"]).partition("://")[0]
    base: Any = {
        "redis": kombu_redis.Transport,
        "rediss": kombu_redis.Transport,
        "sentinel": kombu_redis.SentinelTransport,
    }.get(scheme)
    if base is not None:
        app.conf.broker_transport = _checked(base, scheme, dead_letter)


def _checked(base: Any, scheme: str, dead_letter: DeadLetterEnvelope) -> type:
    class CheckedTransport(base):  # type: ignore[misc] # kombu has no hints
        Channel = type(
            "CheckedChannel",
            (ChecksEnvelopes, tolerant_channel(base.Channel)),
            {"dead_letter": staticmethod(dead_letter)},
        )
        # Shown in logs and descriptions instead of the class's name.
        shown_as = scheme
        is_in_loop = False

        def register_with_event_loop(self, connection: Any, loop: Any) -> None:
            """Let a loop read from the channels, and remove the records of acknowledged messages before each wait."""
            super().register_with_event_loop(connection, loop)
            self.is_in_loop = True
            loop.on_tick.add(self._remove_records)

        def _remove_records(self) -> None:
            for channel in self.channels:
                channel.qos.remove_records()

    return CheckedTransport


class ChecksEnvelopes(TakesSeveral):
    """A part of kombu's channel class for Redis: it checks messages between reading and delivery."""

    connection: Any
    global_keyprefix: str
    dead_letter: ClassVar[DeadLetterEnvelope]

    def deliver_taken(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Check messages, record them as taken, and deliver them."""
        envelopes: list[tuple[str, dict[str, Any]]] = []
        for number, (queue, item) in enumerate(items):
            try:
                envelope, flaw = _opened(item)
            except MemoryError:
                # The process lacks memory; the messages may be sound.
                for name, unread in items[number:]:
                    self._push_back(name, unread)
                self._deliver_all(envelopes)
                raise
            if flaw is not None:
                self._dead_letter(item, flaw, queue)
                continue
            _set_properties(envelope["properties"], queue)
            envelopes.append((queue, envelope))
        self._deliver_all(envelopes)

    def _deliver_all(self, envelopes: list[tuple[str, dict[str, Any]]]) -> None:
        try:
            self.qos.record([envelope for _, envelope in envelopes])
        finally:
            # Also without a record: these messages are no longer on their queues, and nothing else leads to a submission.
            for queue, envelope in envelopes:
                self.connection._deliver(envelope, queue)  # noqa: SLF001 - what kombu's own method calls

    def _dead_letter(self, item: bytes, flaw: str, queue: str) -> None:
        try:
            self.dead_letter(item[:LONGEST_ENVELOPE].decode("utf-8", "replace"), reason=flaw, queue=queue)
        except Unavailable as failure:
            # The ledger's Redis is full or away: return the message to the end of its queue.
            _log.error("message.malformed", reason=flaw, queue=queue, error=str(failure))
            time.sleep(_PAUSE_S)
            self._push_back(queue, item)

    def _push_back(self, queue: str, item: bytes) -> None:
        # kombu's client adds the prefix to the keys of other commands, but not of this one.
        self.client.eval(PUSH, 1, self.global_keyprefix + queue, item)


def _set_properties(properties: dict[str, Any], queue: str) -> None:
    # kombu returns unacknowledged messages to the queue that the envelope names; a forged envelope could name any key.
    properties["delivery_info"] = {"exchange": queue, "routing_key": queue}
    properties["delivery_tag"] = str(uuid.uuid4())
    if properties.get("body_encoding") == PLAIN_TEXT:
        del properties["body_encoding"]


def _opened(item: bytes) -> tuple[Any, str | None]:
    """Return the envelope and its flaw, or None for a sound one."""
    if len(item) > LONGEST_ENVELOPE:
        return None, f"the envelope has more than {LONGEST_ENVELOPE} bytes"
    try:
        envelope = loads(bytes_to_str(item))
        return envelope, flaw_of_envelope(envelope)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - kombu's JSON rebuilds typed values, and a forged one can raise anything
        return None, "the envelope is not JSON"
