"""Celery tasks and requests that show neither arguments nor results: in messages, events, logs, `celery inspect` and Flower."""

from __future__ import annotations

from typing import Any

from celery import Task
from celery.worker.request import Request

from gatepost_core.broker.messages import SHOWN_ARGUMENTS
from gatepost_core.errors import InvalidCommand, OperationFailed, OperationNotFound


class SealedRequest(Request):
    """A request that shows no arguments. A plain submission has an address in them."""

    def info(self, safe: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Return the request's description for `celery inspect` and Flower."""
        return {**super().info(safe=True), "args": SHOWN_ARGUMENTS, "kwargs": SHOWN_ARGUMENTS}


class SealedTask(Task[Any, Any]):
    """A task that shows neither arguments nor results on publish, retry, success and failure."""

    abstract = True
    Request = f"{__name__}:SealedRequest"
    acks_late = True
    max_retries = None
    # Celery cuts a result's representation in events and logs to this many characters.
    resultrepr_maxsize = 0
    throws = (OperationFailed, InvalidCommand, OperationNotFound)

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Publish with constant representations. Celery's `retry` calls this too, without the ones it was given."""
        options["argsrepr"] = options["kwargsrepr"] = SHOWN_ARGUMENTS
        return super().apply_async(*args, **options)
