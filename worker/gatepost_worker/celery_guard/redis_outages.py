"""Celery and kombu during a Redis outage: the broker or the result backend is away, or has no memory left.

Stock kombu ends the worker when the broker goes away during a poll, or has no memory for a note or a message. The reconciler finds the
messages that are lost meanwhile. Stock Celery lets a failed write of a result out of the task: in a thread pool the message is then never
acknowledged and its slot stays taken. The ledger holds the outcome in any case.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from functools import cache
from queue import Empty
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery.backends.redis import RedisBackend, SentinelBackend
from kombu.exceptions import KombuError
from kombu.utils.json import dumps
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError

from gatepost_core.redis.quick import QuickConnections
from gatepost_worker.celery_guard.taken_messages import TakenMessages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from celery import Celery

_log = structlog.stdlib.get_logger("gatepost.worker")
# Pushes a message onto a queue even without free memory. Workers and the scheduler publish references to recorded work only: one small
# message each. New work is refused by the ledger.
PUSH: Final = """#!lua flags=allow-oom
return redis.call('LPUSH', KEYS[1], ARGV[1])
"""
_NOT_STORED: Final = (RedisError, KombuError, OSError)


def tolerant_channel(base: Any) -> Any:
    """Return a subclass of a kombu Redis channel class that survives outages."""

    class TolerantChannel(_sharing_channel(base)):  # type: ignore[misc] # kombu has no hints
        QoS = type("TolerantQoS", (TakenMessages, base.QoS), {})

        def _put(self, queue: str, message: Any, **options: Any) -> None:
            """Publish a message, also without free memory, so that recorded work continues."""
            try:
                super()._put(queue, message, **options)
            except OutOfMemoryError:
                key = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
                with self.conn_or_acquire() as client:
                    client.eval(PUSH, 1, self.global_keyprefix + key, dumps(message))

        def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
            """Record a queue's binding. Without free memory, an existing record is enough."""
            try:
                super()._queue_bind(exchange, routing_key, pattern, queue)
            except OutOfMemoryError:
                if all(queue != bound for *_, bound in self.get_table(exchange)):
                    raise

        def _has_queue(self, queue: str, **_options: Any) -> bool:
            """Say whether messages wait. kombu's own method asks without the prefix of its keys, and finds no queue that has one."""
            return bool(self._size(queue))

        def close(self) -> None:
            """Close, also when the broker goes away during a poll.

            kombu's own method reads the poll's answer first and stops there when that fails. Its second call then finds a channel without a
            transport, and the AttributeError ends the worker.
            """
            if self._in_poll:
                with suppress(Empty, *self.connection_errors):
                    self._brpop_read()
            self.qos.remove_records()
            super().close()

    return TolerantChannel


@cache
def _sha(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


class QuickCommands:
    """A part of kombu's channel class for Redis: commands over connections that are kept apart."""

    pool: Any
    global_keyprefix: str
    _quick: QuickConnections | None = None

    def ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Carry out commands on keys in one round trip, in order but not as a transaction. kombu's pipeline takes twice as long.

        Returns:
            Each command's reply.

        Raises:
            Broken: the connection broke; the commands may have been carried out.
            RedisError: the first error among the replies.
        """
        prefixed = [(name, self.global_keyprefix + key, *rest) for name, key, *rest in commands]
        replies = self._connections().ask(prefixed)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def run_script(self, text: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script once, and return its reply.

        Raises:
            Broken: the connection broke; the script may have been carried out.
            RedisError: as Redis refuses it.
        """
        given = len(keys), *(self.global_keyprefix + key for key in keys), *arguments
        (reply,) = self._connections().ask([("EVALSHA", _sha(text), *given)])
        if isinstance(reply, NoScriptError):
            (reply,) = self._connections().ask([("EVAL", text, *given)])
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _connections(self) -> QuickConnections:
        if self._quick is None or self._quick.pool is not self.pool:
            self._quick = QuickConnections(self.pool)
        return self._quick


def _sharing_channel(base: Any) -> Any:
    class SharingChannel(QuickCommands, base):  # type: ignore[misc] # kombu has no hints
        _shared: Any = None

        @contextmanager
        def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
            """Yield a client. kombu's own method makes another one for every command, which takes longer than the command."""
            if client is None and (self._shared is None or self._shared.connection_pool is not self.pool):
                self._shared = self._create_client()
            yield client or self._shared

    return SharingChannel


def install_result_backends(app: Celery) -> None:
    """Let the app log a result that Redis cannot store, instead of failing the task. For Redis, directly or through Sentinel."""
    app.loader.override_backends = {
        "redis": f"{__name__}:TolerantRedisBackend",
        "rediss": f"{__name__}:TolerantRedisBackend",
        "sentinel": f"{__name__}:TolerantSentinelBackend",
    }


class _Tolerant:
    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **options: Any) -> Any:
        """Store a result, or log that it cannot be stored."""
        try:
            return super().store_result(task_id, result, state, *args, **options)  # type: ignore[misc] # a mixin
        except _NOT_STORED as failure:
            _log.warning("result.not_stored", correlation_id=task_id, state=state, error=type(failure).__name__)
            return result


class TolerantRedisBackend(_Tolerant, RedisBackend):
    """Results in Redis."""


class TolerantSentinelBackend(_Tolerant, SentinelBackend):
    """Results in a Redis that Sentinel names."""
