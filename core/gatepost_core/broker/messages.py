"""The form of what travels on the broker: task names, queue names, and messages that carry references, never a person."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gatepost_core.commands import Kind

MESSAGE_VERSION: Final = 1
"""The version of the messages' form. A worker refuses one it does not know."""

SUBMIT: Final = "gatepost.submit"
SEND_BATCH: Final = "gatepost.send_batch"
RECONCILE: Final = "gatepost.reconcile"
SHOWN_ARGUMENTS: Final = "(sealed)"
"""What Celery shows, in headers, events and logs, instead of arguments and results."""


class Queue(StrEnum):
    """The queues; `RedisKeys.queue` gives their names. Campaigns have their own, so that they never delay a login."""

    LOGIN = "login"
    SEND = "send"
    BULK = "bulk"


def task_name(kind: Kind) -> str:
    """Return the name of the task that carries an operation of this kind."""
    return f"gatepost.{kind.value}"


def queue_of(kind: Kind) -> Queue:
    """Return the queue on which operations of this kind travel."""
    return Queue.LOGIN if kind.is_login else Queue.SEND


def operation_message(operation_id: str) -> dict[str, Any]:
    """Return the keyword arguments of an operation's task."""
    return {"operation_id": operation_id, "version": MESSAGE_VERSION}


def batch_message(campaign_id: str, batch: int) -> dict[str, Any]:
    """Return the keyword arguments of the task that sends one batch of a campaign."""
    return {"campaign_id": campaign_id, "batch": batch, "version": MESSAGE_VERSION}
