"""A Redis channel that outlives its broker's trouble: gone in the middle of a poll, or without memory for another note or message.

kombu's own lets both end the worker. What the broker loses meanwhile, the reconciler finds by the ledger.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty
from typing import Any, Final

import structlog
from kombu.transport import virtual
from kombu.utils.json import dumps
from redis.exceptions import OutOfMemoryError

_log = structlog.stdlib.get_logger("gatepost.worker")
# Puts a message on a queue, whatever memory there is. What a worker or its scheduler publishes is a reference to what is recorded already: one small message for each, and none for anything
# new, which the ledger refuses to record.
PUSH: Final = """#!lua flags=allow-oom
return redis.call('LPUSH', KEYS[1], ARGV[1])
"""


def enduring(base: Any) -> Any:
    """Return a subclass of a kombu Redis channel class, with notes of its own kind."""

    class EnduringChannel(base):  # type: ignore[misc] # kombu has no hints
        QoS = _enduring_qos(base.QoS)

        def _put(self, queue: str, message: Any, **options: Any) -> None:
            """Publish a message, also without memory: it is what goes on with the work that there is."""
            try:
                super()._put(queue, message, **options)
            except OutOfMemoryError:
                key = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
                with self.conn_or_acquire() as client:
                    client.eval(PUSH, 1, key, dumps(message))

        def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
            """Note that a queue is bound; without memory for it, only a note that is there already will do."""
            try:
                super()._queue_bind(exchange, routing_key, pattern, queue)
            except OutOfMemoryError:
                if all(queue != bound for *_, bound in self.get_table(exchange)):
                    raise

        def close(self) -> None:
            """Close, also when the broker is gone in the middle of a poll.

            kombu's own reads the poll's answer first, and stops half-way when that fails. The second try then finds a channel whose
            transport was taken away, and its AttributeError ends the worker.
            """
            if self._in_poll:
                with suppress(Empty, *self.connection_errors):
                    self._brpop_read()
            super().close()

    return EnduringChannel


def _enduring_qos(base: Any) -> Any:
    class EnduringQoS(base):  # type: ignore[misc] # kombu has no hints
        def append(self, message: Any, delivery_tag: str) -> None:
            """Note a message as taken; without memory for the note, it is carried out without one."""
            try:
                super().append(message, delivery_tag)
            except OutOfMemoryError:
                _log.warning("broker.full", step="note")
                virtual.QoS.append(self, message, delivery_tag)

        def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
            """Give a message back; without memory for it, it stays where it was noted, or goes."""
            try:
                super().reject(delivery_tag, requeue=requeue)
            except OutOfMemoryError:
                _log.warning("broker.full", step="give_back")
                virtual.QoS.ack(self, delivery_tag)

    return EnduringQoS
