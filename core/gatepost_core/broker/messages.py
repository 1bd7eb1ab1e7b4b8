"""The form of what travels on the broker: task names, queue names, and messages that carry references, never a person."""

from __future__ import annotations

from typing import Any, Final

MESSAGE_VERSION: Final = 1
"""The version of the messages' form. A worker refuses one it does not know."""

SUBMIT: Final = "gatepost.submit"
SEND_BATCH: Final = "gatepost.send_batch"
RECONCILE: Final = "gatepost.reconcile"
SHOWN_ARGUMENTS: Final = "(sealed)"
"""What Celery shows, in headers, events and logs, instead of arguments and results."""


def operation_message(operation_id: str) -> dict[str, Any]:
    """Return the keyword arguments of an operation's task."""
    return {"operation_id": operation_id, "version": MESSAGE_VERSION}


def batch_message(campaign_id: str, batch: int) -> dict[str, Any]:
    """Return the keyword arguments of the task that sends one batch of a campaign."""
    return {"campaign_id": campaign_id, "batch": batch, "version": MESSAGE_VERSION}
