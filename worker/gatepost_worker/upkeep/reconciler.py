"""The periodic sweep that repairs what the queue lost: it ends what is over, and publishes again what was never begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from celery import states as celery_states

from gatepost_core.broker.messages import operation_message, queue_of, task_name
from gatepost_core.broker.publishing import publish_recorded
from gatepost_core.error_boundary import account, boundary
from gatepost_core.errors import Spoiled
from gatepost_core.failures import failure_of
from gatepost_core.ledger.values import Verdict
from gatepost_core.redis.keys import RECONCILER_LAST_RUN
from gatepost_worker.upkeep.sweep_lock import note_run, sweep_lock

if TYPE_CHECKING:
    from celery import Celery
    from redis import Redis

    from gatepost_core.commands import Kind
    from gatepost_core.ledger import Ledger
    from gatepost_core.ledger.values import Answer

_log = structlog.stdlib.get_logger("gatepost.worker")

_LOCK: Final = "gatepost:reconciler:lock"
_PAGE: Final = 500


@boundary
class Reconciler:
    """Sweeps the open operations that are due. Two at once would only do the same twice, so one runs at a time."""

    def __init__(self, app: Celery, ledger: Ledger, client: Redis) -> None:
        self._app = app
        self._ledger = ledger
        self._redis = client
        self._broker_takes = True

    def run(self) -> int:
        """Sweep everything that is due, and return how many operations were looked at.

        Raises:
            Unavailable: Redis did not answer; the next run goes on.
        """
        looked_at, self._broker_takes = 0, True
        with sweep_lock(self._redis, _LOCK) as prolong:
            if prolong is None:
                return 0
            while due := self._ledger.due(_PAGE):
                for operation_id in due:
                    self._look_at(operation_id)
                looked_at += len(due)
                prolong()
            note_run(self._redis, RECONCILER_LAST_RUN)
        return looked_at

    def _look_at(self, operation_id: str) -> None:
        try:
            self._settle(operation_id, self._ledger.sweep(operation_id))
        except ValueError as failure:
            # A later version's kind or reason: that version's reconciler ends it. The script has put it off, so the sweep goes on.
            _log.error("operation.unreadable", correlation_id=operation_id, failure=account(failure))
        except Spoiled as failure:
            # Nobody else shall wait for it.
            self._ledger.set_aside(operation_id)
            _log.error("operation.set_aside", correlation_id=operation_id, error=str(failure))

    def _settle(self, operation_id: str, answer: Answer) -> None:
        if answer.verdict is Verdict.PUBLISH and answer.kind is not None:
            self._publish(operation_id, answer.kind)
        elif answer.verdict is Verdict.FINISHED and answer.reason is not None:
            # Whoever waits with AsyncResult.get() gets the same typed error as from a worker.
            failure = failure_of(operation_id, answer.reason, answer.detail, answer.state)
            self._app.backend.store_result(operation_id, failure, celery_states.FAILURE)
            _log.info("operation.swept", correlation_id=operation_id, state=answer.state, reason=answer.reason.value)
        elif answer.verdict is Verdict.MISSING:
            # Its record was evicted or deleted, so how it ended cannot be said, and it is not sent any more.
            _log.warning("operation.missing", correlation_id=operation_id)

    def _publish(self, operation_id: str, kind: Kind) -> None:
        # After a message that the broker did not take, the sweep only ends what is over: each further try could take as long.
        self._broker_takes = self._broker_takes and publish_recorded(
            self._app,
            task_name(kind),
            queue_of(kind),
            operation_id,
            operation_message(operation_id),
            operation_id=operation_id,
        )
        if self._broker_takes:
            _log.info("operation.published_again", correlation_id=operation_id, command=kind.value)
        else:
            self._ledger.unpublished(operation_id)
