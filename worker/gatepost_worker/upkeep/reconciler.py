"""The periodic sweep of open operations: it ends those past their deadline and publishes again those that were never begun."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery import states as celery_states
from redis.lock import Lock

from gatepost_core.broker.messages import operation_message
from gatepost_core.broker.publishing import publish_recorded
from gatepost_core.error_boundary import account, boundary
from gatepost_core.errors import CorruptRecord, failure_of
from gatepost_core.ledger.values import Verdict
from gatepost_core.redis.errors import answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery
    from redis import Redis

    from gatepost_core.kinds import Kind
    from gatepost_core.ledger import Ledger
    from gatepost_core.ledger.values import Answer
    from gatepost_core.redis.keys import RedisKeys

_log = structlog.stdlib.get_logger("gatepost.worker")

_LOCK_LIFETIME_S: Final = 60
_PAGE: Final = 500
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
    with answering():
        taken = lock.acquire()
    if not taken:
        yield None
        return

    def prolong() -> None:
        with answering():
            lock.reacquire()

    try:
        yield prolong
    finally:
        with answering():
            lock.release()


@boundary
class Reconciler:
    """Sweeps the open operations that are due. One sweep runs at a time: a second one would repeat its work."""

    def __init__(self, app: Celery, ledger: Ledger, client: Redis, keys: RedisKeys) -> None:
        self._app = app
        self._ledger = ledger
        self._redis = client
        self._keys = keys
        self._broker_takes = True

    def run(self) -> int:
        """Sweep every operation that is due, and return their number.

        Raises:
            Unavailable: Redis did not answer; the next run continues.
        """
        swept, self._broker_takes = 0, True
        with sweep_lock(self._redis, self._keys.reconciler_lock) as prolong:
            if prolong is None:
                return 0
            while due := self._ledger.due(_PAGE):
                for operation_id in due:
                    self._sweep(operation_id)
                swept += len(due)
                prolong()
            with answering():
                # Milliseconds since the epoch, by Redis's clock.
                self._redis.eval(_RECORD_RUN, 1, self._keys.reconciler_last_run)
        return swept

    def _sweep(self, operation_id: str) -> None:
        try:
            self._settle(operation_id, self._ledger.sweep(operation_id))
        except ValueError as failure:
            # A kind or reason of a later version, whose reconciler ends the operation. The script has deferred it, so the sweep continues.
            _log.error("operation.unreadable", correlation_id=operation_id, failure=account(failure))
        except CorruptRecord as failure:
            # Set aside, so that it does not hold up the others.
            self._ledger.set_aside(operation_id)
            _log.error("operation.set_aside", correlation_id=operation_id, error=str(failure))

    def _settle(self, operation_id: str, answer: Answer) -> None:
        if answer.verdict is Verdict.PUBLISH and answer.kind is not None:
            self._publish(operation_id, answer.kind)
        elif answer.verdict is Verdict.FINISHED and answer.reason is not None:
            # AsyncResult.get() raises the same typed error as for a failure in a worker.
            failure = failure_of(operation_id, answer.reason, answer.detail, answer.state)
            self._app.backend.store_result(operation_id, failure, celery_states.FAILURE)
            _log.info("operation.swept", correlation_id=operation_id, state=answer.state, reason=answer.reason.value)
        elif answer.verdict is Verdict.MISSING:
            # Its record was evicted or deleted: the outcome is lost, and nothing is sent.
            _log.warning("operation.missing", correlation_id=operation_id)

    def _publish(self, operation_id: str, kind: Kind) -> None:
        # Once the broker has refused a message, the sweep publishes no more: each further try could take as long.
        self._broker_takes = self._broker_takes and publish_recorded(
            self._app,
            kind.task,
            kind.queue,
            operation_id,
            operation_message(operation_id),
            operation_id=operation_id,
        )
        if self._broker_takes:
            _log.info("operation.published_again", correlation_id=operation_id, command=kind.value)
        else:
            self._ledger.unpublished(operation_id)
