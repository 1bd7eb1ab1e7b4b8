"""The messages on the broker: task names, and arguments that hold ids only, never a person."""

from __future__ import annotations

from typing import Any, Final

MESSAGE_VERSION: Final = 1
"""The version of the messages. A worker refuses messages of an unknown version."""

SUBMIT: Final = "gatepost.submit"
SEND_BATCH: Final = "gatepost.send_batch"
RECONCILE: Final = "gatepost.reconcile"
SHOWN_ARGUMENTS: Final = "(sealed)"
"""The text that Celery shows in place of arguments and results: in headers, events and logs."""


def operation_message(operation_id: str) -> dict[str, Any]:
    """Return the keyword arguments of an operation's task."""
    return {"operation_id": operation_id, "version": MESSAGE_VERSION}


def batch_message(campaign_id: str, batch: int) -> dict[str, Any]:
    """Return the keyword arguments of the task that sends one batch of a campaign."""
    return {"campaign_id": campaign_id, "batch": batch, "version": MESSAGE_VERSION}
