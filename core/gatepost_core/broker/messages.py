"""The messages between producers and workers: the names of tasks, and their arguments."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

MESSAGE_VERSION: Final = 1
"""The version of the messages. A worker refuses messages of an unknown version."""

SUBMIT: Final = "gatepost.submit"
SEND_BATCH: Final = "gatepost.send_batch"
RECONCILE: Final = "gatepost.reconcile"
DELIVER_WEBHOOKS: Final = "gatepost.deliver_webhooks"
SHOWN_ARGUMENTS: Final = "(sealed)"
"""The text that Celery shows in place of arguments and results: in headers, events and logs."""


def operation_message(operation_id: str) -> dict[str, Any]:
    """Return the keyword arguments of an operation's task."""
    return {"operation_id": operation_id, "version": MESSAGE_VERSION}


def batch_message(campaign_id: str, batch: int) -> dict[str, Any]:
    """Return the keyword arguments of the task that sends one batch of a campaign."""
    return {"campaign_id": campaign_id, "batch": batch, "version": MESSAGE_VERSION}


def webhooks_message(endpoint_id: str) -> dict[str, Any]:
    """Return the keyword arguments of the task that delivers the events of one webhook endpoint."""
    return {"endpoint_id": endpoint_id, "version": MESSAGE_VERSION}


def log_postponed(**fields: str) -> None:
    """Log that the broker did not take a message, which the reconciler publishes later."""
    # Imported here, because structlog takes longer to load than most of Gatepost. Without free file descriptors it cannot be loaded.
    with suppress(OSError, ImportError):
        import structlog  # noqa: PLC0415

        structlog.stdlib.get_logger("gatepost.producer").warning("publish.postponed", **fields)
