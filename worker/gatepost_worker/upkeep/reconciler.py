"""The periodic sweep of open operations: it ends those past their deadline and publishes again those whose messages were lost."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis.lock import Lock

from gatepost_core.broker.messages import operation_message
from gatepost_core.broker.publishing import BROKER_ERRORS, publish_recorded
from gatepost_core.error_boundary import boundary
from gatepost_core.kinds import Kind
from gatepost_core.ledger.values import Answer, Verdict
from gatepost_core.reasons import Reason
from gatepost_core.redis.errors import translated_errors
from gatepost_worker.metrics.counts import WorkerMetrics
from gatepost_worker.metrics.names import REPAIRS, Repair
from gatepost_worker.upkeep.queue_sizes import QueueSizes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from celery import Celery
    from redis import Redis

    from gatepost_core.kinds import Queue
    from gatepost_core.ledger import Ledger
    from gatepost_core.redis.keys import RedisKeys

_log = structlog.stdlib.get_logger("gatepost.worker")

_LOCK_LIFETIME_S: Final = 60
# One page is one call of a script, for which others wait some milliseconds.
_PAGE: Final = 250
_LONGEST_RUN_S: Final = 0.9
# A sweep ends work, so both scripts run even without free memory. redis-py repeats a call whose reply was lost: the lock may then hold this
# token already.
_ACQUIRE: Final = """#!lua flags=allow-oom
return redis.call('GET', KEYS[1]) == ARGV[1] or redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
"""
_RECORD_RUN: Final = """#!lua flags=allow-oom
local clock = redis.call('TIME')
redis.call('SET', KEYS[1], clock[1] * 1000 + math.floor(clock[2] / 1000))
"""


class _SweepLock(Lock):
    def do_acquire(self, token: str) -> bool:
        return bool(self.redis.eval(_ACQUIRE, 1, self.name, token, _LOCK_LIFETIME_S * 1000))


@contextmanager
def sweep_lock(client: Redis, name: str) -> Iterator[Callable[[], Any] | None]:
    """Hold a lock that all workers share, and yield the function that prolongs it, or None while another process holds it.

    Raises:
        Unavailable: Redis did not answer.
    """
    lock = _SweepLock(client, name, timeout=_LOCK_LIFETIME_S, blocking=False)
    with translated_errors():
        taken = lock.acquire()
    if not taken:
        yield None
        return

    def prolong() -> None:
        with translated_errors():
            lock.reacquire()

    try:
        yield prolong
    finally:
        with translated_errors():
            lock.release()


@boundary
class Reconciler:
    """Checks the open operations that are due. One run at a time: a second one would repeat its work.

    A run is bounded: it checks the operations that were due when it began, page by page, and leaves later ones to the next run.
    """

    def __init__(
        self,
        app: Celery,
        ledger: Ledger,
        client: Redis,
        keys: RedisKeys,
        *,
        clock: Callable[[], float] = time.monotonic,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._app = app
        self._ledger = ledger
        self._redis = client
        self._keys = keys
        self._clock = clock
        self._metrics = metrics or WorkerMetrics()
        self._broker_takes = True

    def run(self) -> int:
        """Check the operations that are due, and return their number.

        Raises:
            Unavailable: Redis did not answer; the next run continues.
        """
        with sweep_lock(self._redis, self._keys.reconciler_lock) as prolong:
            if prolong is None:
                return 0
            swept = self._sweep_due(prolong)
            with translated_errors():
                # Milliseconds since the epoch, by Redis's clock.
                self._redis.eval(_RECORD_RUN, 1, self._keys.reconciler_last_run)
        return swept

    def _sweep_due(self, prolong: Callable[[], Any]) -> int:
        self._broker_takes = True
        ends = self._clock() + _LONGEST_RUN_S
        since = self._ledger.now_ms()
        drained = self._drained() if self._ledger.due(1, since) else ()
        swept = 0
        while self._clock() < ends and (due := self._ledger.due(_PAGE, since)):
            answers = self._ledger.sweep(due, drained=drained, since_ms=since)
            for operation_id, answer in answers.items():
                self._settle(operation_id, answer)
            swept += len(due)
            prolong()
        return swept

    def _drained(self) -> Collection[Queue]:
        """Return the operations' queues that are empty; none if the broker does not say."""
        names = {self._keys.queue(kind.queue): kind.queue for kind in Kind}
        sizes = QueueSizes(self._app, names)
        try:
            return [names[name] for name, size in sizes.read().items() if not size]
        except BROKER_ERRORS as failure:
            _log.warning("reconciler.no_queue_sizes", error=type(failure).__name__)
            return ()
        finally:
            sizes.close()

    def _settle(self, operation_id: str, answer: Answer) -> None:
        match answer:
            case Answer(verdict=Verdict.PUBLISH, kind=Kind() as kind):
                self._publish(operation_id, kind)
            case Answer(verdict=Verdict.FINISHED, reason=Reason() as reason):
                self._metrics.add(REPAIRS, Repair.ENDED)
                _log.info("operation.swept", correlation_id=operation_id, state=answer.state, reason=reason.value)
            case Answer(verdict=Verdict.MISSING):
                self._metrics.add(REPAIRS, Repair.RECORD_MISSING)
                # Its record was evicted or deleted: the outcome is lost, and nothing is sent.
                _log.warning("operation.missing", correlation_id=operation_id)
            case Answer(verdict=Verdict.CORRUPT):
                self._metrics.add(REPAIRS, Repair.SET_ASIDE)
                _log.error("operation.set_aside", correlation_id=operation_id)

    def _publish(self, operation_id: str, kind: Kind) -> None:
        # Once the broker has refused a message, the run publishes no more: each further try could take as long.
        self._broker_takes = self._broker_takes and publish_recorded(
            self._app,
            kind.task,
            kind.queue,
            operation_id,
            operation_message(operation_id),
            correlation_id=operation_id,
        )
        if self._broker_takes:
            self._metrics.add(REPAIRS, Repair.PUBLISHED_AGAIN)
            _log.info("operation.published_again", correlation_id=operation_id, command=kind.value)
        else:
            self._ledger.unpublished(operation_id)
