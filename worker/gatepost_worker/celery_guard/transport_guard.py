"""Envelopes that kombu itself cannot read: caught where they leave Redis, before anything is built from them.

On Redis the envelope is JSON that any client may write. Without `properties`, `delivery_tag` or `delivery_info`, or when it is no JSON at
all, kombu raises in the consumer's loop; the message is lost and the connection starts anew. RabbitMQ's envelopes are its own, so this is
for the Redis transports only.
"""

from __future__ import annotations

import time
import uuid
from queue import Empty
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from kombu.transport import redis as kombu_redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from gatepost_core.broker.message_validation import LONGEST_ENVELOPE, flaw_of_envelope
from gatepost_core.errors import Unavailable
from gatepost_worker.celery_guard.redis_channel import PUSH, enduring

if TYPE_CHECKING:
    from celery import Celery


_log = structlog.stdlib.get_logger("gatepost.worker")
_BREATH_S: Final = 0.2


class Bury(Protocol):
    """Keeps what could not be read."""

    def __call__(self, raw: str, *, reason: str, queue: str) -> None:
        """Keep the raw text with the reason and the queue it came from."""


def install(app: Celery, bury: Bury) -> None:
    """Let the app's consumers read envelopes with a check. For a Redis broker; any other keeps its transport."""
    scheme = str(app.conf["broker_url"]).partition("://")[0]
    base: Any = {
        "redis": kombu_redis.Transport,
        "rediss": kombu_redis.Transport,
        "sentinel": kombu_redis.SentinelTransport,
    }.get(scheme)
    if base is not None:
        app.conf.broker_transport = _checked(base, scheme, bury)


def _checked(base: Any, scheme: str, bury: Bury) -> type:
    class CheckedChannel(enduring(base.Channel)):  # type: ignore[misc] # kombu has no hints
        def _brpop_read(self, **options: Any) -> bool:
            """Read one message. kombu's own method, with a check between reading and delivering."""
            try:
                try:
                    found = self.client.parse_response(self.client.connection, "BRPOP", **options)
                except self.connection_errors:
                    self.client.connection.disconnect()
                    raise
                if not found:
                    raise Empty
                name, item = found
                queue = bytes_to_str(name).rsplit(self.sep, 1)[0]
                self._queue_cycle.rotate(queue)
                self._deliver_checked(item, queue)
                return True
            finally:
                self._in_poll = None
                self._flush_brpop_reauth()

        def _deliver_checked(self, item: bytes, queue: str) -> None:
            try:
                envelope, flaw = _opened(item)
            except MemoryError:
                # That is this process's trouble, not the message's.
                self.client.eval(PUSH, 1, queue, item)
                raise
            if flaw is not None:
                self._bury(item, flaw, queue)
                return
            # kombu puts what was not acknowledged back where the envelope says it came from: a stranger would name any key.
            envelope["properties"]["delivery_info"] = {"exchange": queue, "routing_key": queue}
            envelope["properties"]["delivery_tag"] = str(uuid.uuid4())
            self.connection._deliver(envelope, queue)  # noqa: SLF001 - what kombu's own method calls

        def _bury(self, item: bytes, flaw: str, queue: str) -> None:
            try:
                bury(item[:LONGEST_ENVELOPE].decode("utf-8", "replace"), reason=flaw, queue=queue)
            except Unavailable as failure:
                # The ledger is full or away: back to its queue, behind what others wait for.
                _log.error("message.malformed", reason=flaw, queue=queue, error=str(failure))
                time.sleep(_BREATH_S)
                self.client.eval(PUSH, 1, queue, item)

    class CheckedTransport(base):  # type: ignore[misc] # kombu has no hints
        Channel = CheckedChannel
        # Instead of the class's own name, in logs and descriptions.
        shown_as = scheme

    return CheckedTransport


def _opened(item: bytes) -> tuple[Any, str | None]:
    """Return an envelope and its flaw, if it has one."""
    if len(item) > LONGEST_ENVELOPE:
        return None, f"the envelope has more than {LONGEST_ENVELOPE} bytes"
    try:
        envelope = loads(bytes_to_str(item))
        return envelope, flaw_of_envelope(envelope)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - kombu's JSON rebuilds typed values, and raises whatever forged ones make it raise
        return None, "the envelope is not JSON"
