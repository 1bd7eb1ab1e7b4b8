"""A Redis channel that outlives its broker's trouble: gone in the middle of a poll, or without memory for another note.

kombu's own lets both end the worker. What the broker loses meanwhile, the reconciler finds by the ledger.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty
from typing import Any

import structlog
from kombu.transport import virtual
from redis.exceptions import OutOfMemoryError

_log = structlog.stdlib.get_logger("gatepost.worker")


def enduring(base: Any) -> Any:
    """Return a subclass of a kombu Redis channel class, with notes of its own kind."""

    class EnduringQoS(base.QoS):  # type: ignore[misc] # kombu has no hints
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

    class EnduringChannel(base):  # type: ignore[misc] # kombu has no hints
        QoS = EnduringQoS

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
