"""The Celery tasks: each runs the code of its kind, then returns, retries or raises."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery.exceptions import Ignore, Reject, Retry

from gatepost_core.broker.messages import DELIVER_WEBHOOKS, RECONCILE, SEND_BATCH, SUBMIT
from gatepost_core.error_boundary import Boundary, account
from gatepost_core.errors import GatepostError, OperationNotFound, Unavailable, Unforeseen, failure_of
from gatepost_core.kinds import Kind, Queue
from gatepost_core.ledger.values import Verdict
from gatepost_core.states import State
from gatepost_worker.bulk.task import CampaignParts
from gatepost_worker.celery_guard.intake import strategy
from gatepost_worker.celery_guard.sealed_task import SealedTask
from gatepost_worker.delivery.runner import Ended, Later
from gatepost_worker.submission import HOP, PutBack, Submissions
from gatepost_worker.upkeep.reconciler import Reconciler
from gatepost_worker.webhooks.parts import WebhookParts

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from gatepost_worker.process import Process

_log = structlog.stdlib.get_logger("gatepost.worker")
# While Redis is away a rejected message is delivered again at once; the pause keeps the slot from spinning.
_PAUSE_S: Final = 1.0
_UNFORESEEN: Final = "The command failed unexpectedly and may have been recorded; see the worker's log."


_boundary: Final = Boundary(GatepostError, Ignore, Reject, Retry)


def register(app: Any, process: Process) -> None:
    """Add Gatepost's tasks to an app, and to no other."""
    campaigns, webhooks = CampaignParts(app, process), WebhookParts(app, process)
    checked = partial(strategy, dead_letters=lambda: process.dead_letters)
    for kind in Kind:
        app.task(
            _operation(process),
            base=SealedTask,
            bind=True,
            shared=False,
            name=kind.task,
            # The ledger's script stores the result.
            ignore_result=True,
            Strategy=staticmethod(checked),
            process=process,
        )
    shared = {"base": SealedTask, "shared": False, "Strategy": staticmethod(checked)}
    submissions = Submissions(app, process)
    sealing = {
        **shared,
        "Strategy": staticmethod(partial(checked, seal=submissions.seal, is_operation=submissions.is_operation)),
    }
    app.task(_submit(submissions), name=SUBMIT, bind=True, **sealing)
    app.task(_reconcile(app, process, campaigns, webhooks), name=RECONCILE, ignore_result=True, **shared)
    app.task(_send_batch(campaigns), name=SEND_BATCH, ignore_result=True, **shared)
    app.task(_deliver_webhooks(webhooks), name=DELIVER_WEBHOOKS, ignore_result=True, **shared)
    queues = {**{kind.task: kind.queue for kind in Kind}, SEND_BATCH: Queue.BULK, RECONCILE: Queue.LOGIN}
    queues[DELIVER_WEBHOOKS] = Queue.WEBHOOKS
    app.conf.task_routes = {name: {"queue": process.keys.queue(queue)} for name, queue in queues.items()}


def _is_foreseen(failure: Exception) -> bool:
    return isinstance(failure, GatepostError) and not isinstance(failure, Unforeseen)


def _operation(process: Process) -> Callable[..., None]:
    @_boundary
    def operation(task: SealedTask, operation_id: str, version: int = 1) -> None:  # noqa: ARG001 - checked at intake
        """Carry out one operation."""
        try:
            progress = process.runner.run(operation_id)
        except Unavailable as failure:
            _log.warning("operation.returned", correlation_id=operation_id, error=str(failure))
            time.sleep(_PAUSE_S)
            raise Reject(str(failure), requeue=True) from None
        except Exception as failure:
            if _is_foreseen(failure):
                raise
            # The ledger holds the operation's progress, and the reconciler continues from there.
            _log.error("operation.failed_unexpectedly", correlation_id=operation_id, failure=account(failure))
            raise Ignore from None
        match progress:
            case Ended(state=State.ACCEPTED):
                return
            case Ended(state=state, reason=reason, detail=detail) if reason is not None:
                raise failure_of(operation_id, reason, detail, state)
            case Later(wait=wait):
                raise task.retry(countdown=wait.total_seconds(), throw=False)
            case _ if getattr(progress, "verdict", None) is Verdict.MISSING:
                raise OperationNotFound
            case _:
                # Another attempt is under way: its worker or the reconciler ends the operation.
                raise Ignore

    return operation


def _submit(submissions: Submissions) -> Callable[..., dict[str, str]]:
    @_boundary
    def submit(
        task: SealedTask,
        command: Any = None,
        idempotency_key: str | None = None,
        version: int = 1,  # noqa: ARG001 - checked at intake
        *,
        sealed: str | None = None,
    ) -> dict[str, str]:
        """Record and publish a command from another system, given as JSON or a JWE, and return its operation's id."""
        task_id = str(task.request.id)
        try:
            waited = HOP * (task.request.retries or 0)
            if sealed is None:
                operation_id = submissions.accept(task_id, command, idempotency_key, waited=waited)
            else:
                operation_id = submissions.accept_sealed(task_id, sealed, waited=waited)
        except PutBack:
            raise task.retry(countdown=HOP.total_seconds(), throw=False) from None
        except Unavailable as failure:
            _log.warning("submission.returned", task_id=task_id, error=str(failure))
            time.sleep(_PAUSE_S)
            raise Reject(str(failure), requeue=True) from None
        except Exception as failure:
            if _is_foreseen(failure):
                raise
            _log.error("submission.failed_unexpectedly", task_id=task_id, failure=account(failure))
            raise GatepostError(_UNFORESEEN) from None
        return {"operation_id": operation_id}

    return submit


def _send_batch(campaigns: CampaignParts) -> Callable[..., None]:
    @_boundary
    def send_batch(campaign_id: str, batch: int, version: int = 1) -> None:  # noqa: ARG001 - checked at intake
        """Send a batch's recipients for a bounded time."""
        try:
            campaigns.runner.run(campaign_id, batch)
        except Unavailable as failure:
            # The message is acknowledged: the reconciler finds the batch by its expired lease or its publication date.
            _log.warning("batch.interrupted", campaign_id=campaign_id, batch=batch, error=str(failure))
            time.sleep(_PAUSE_S)

    return send_batch


def _deliver_webhooks(webhooks: WebhookParts) -> Callable[..., None]:
    @_boundary
    def deliver_webhooks(endpoint_id: str, version: int = 1) -> None:  # noqa: ARG001 - checked at intake
        """Deliver the events of one webhook endpoint for a bounded time."""
        try:
            webhooks.deliver(endpoint_id)
        except Unavailable as failure:
            # The message is acknowledged: a later plan publishes the next one.
            _log.warning("webhook.interrupted", endpoint_id=endpoint_id, error=str(failure))
            time.sleep(_PAUSE_S)

    return deliver_webhooks


def _reconcile(app: Celery, process: Process, campaigns: CampaignParts, webhooks: WebhookParts) -> Callable[[], None]:
    @_boundary
    def reconcile() -> None:
        """Repair operations and campaigns whose messages were lost, and plan the delivery of webhooks."""
        with ExitStack() as steps:
            # Each step runs even if an earlier one fails. The last one added runs first.
            steps.callback(webhooks.plan)
            # Where no worker takes batches, none else writes these lines.
            steps.callback(campaigns.watch.log_changes)
            steps.callback(campaigns.sweep.run)
            Reconciler(app, process.ledger, process.redis, process.keys, metrics=process.metrics).run()

    return reconcile
