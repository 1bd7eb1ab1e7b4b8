"""What a worker checks of a message before Celery builds a request from it.

Stock Celery reconnects in an endless loop on a message without `id`. Here whatever is malformed goes to the dead letters with its
reason, and the consumer goes on.
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery.worker.strategy import default as celery_strategy

from gatepost.errors import Unavailable
from gatepost.messages import MESSAGE_VERSION, SHOWN_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery, Task

    from gatepost.dead_letters import DeadLetters

_BATCHES: Final = 1 << 24
_log = structlog.stdlib.get_logger("gatepost.worker")
_consumer_log = logging.getLogger("gatepost.worker")


class Malformed(Exception):
    """The message has not the form of `gatepost.messages`."""


def strategy(
    task: Task[Any, Any], app: Celery, consumer: Any, *, dead_letters: Callable[[], DeadLetters]
) -> Callable[..., Any]:
    """Return Celery's own message handler for the task, behind a check. A task's `Strategy`."""
    handle = celery_strategy(task, app, consumer)

    def checked(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **options: Any) -> Any:
        try:
            check(task, message)
        except Malformed as failure:
            bury(message, str(failure), consumer, dead_letters())
            return None
        # A foreign producer's own idea of what to show is not trusted.
        message.headers["argsrepr"] = message.headers["kwargsrepr"] = SHOWN_ARGUMENTS
        try:
            return handle(message, body, ack, reject, callbacks, **options)
        except (TypeError, ValueError, KeyError, AttributeError) as failure:
            # Celery trusts headers it did not write; what it trips over would trip it again after every reconnect.
            bury(message, f"the headers are malformed ({type(failure).__name__})", consumer, dead_letters())
            return None

    return checked


def bury(message: Any, reason: str, consumer: Any, dead_letters: DeadLetters) -> None:
    """Move a message to the dead letters. While Redis cannot take it, it stays on its queue."""
    queue = str((message.delivery_info or {}).get("routing_key", ""))
    kept = {"headers": message.headers, "properties": message.properties, "body": _text(message.body)}
    try:
        letter_id = dead_letters.add(kept, reason=reason, queue=queue)
    except Unavailable:
        _log.exception("message.malformed", reason=reason)
        message.reject_log_error(_consumer_log, consumer.connection_errors, requeue=True)
        return
    _log.error("message.malformed", reason=reason, queue=queue, dead_letter=letter_id)
    message.ack_log_error(_consumer_log, consumer.connection_errors)


def _text(body: Any) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)


def check(task: Any, message: Any) -> None:
    """Check a message's headers and arguments.

    Raises:
        Malformed: says what is wrong, never a value.
    """
    headers = message.headers
    if not isinstance(headers, dict) or not isinstance(headers.get("id"), str):
        raise Malformed("the header id is missing or no text")
    if not isinstance(headers.get("task"), str):
        raise Malformed("the message is not of Celery's protocol 2")
    try:
        payload = message.payload
    except Exception as failure:  # noqa: BLE001 - kombu's decoders raise whatever a foreign body makes them raise
        raise Malformed(f"the body cannot be read ({type(failure).__name__})") from None
    match payload:
        case [list(), dict() as kwargs, dict() | None]:
            pass
        case _:
            raise Malformed("the body is not [args, kwargs, embed]")
    if kwargs.get("version", MESSAGE_VERSION) != MESSAGE_VERSION:
        raise Malformed("the version of the message's form is unknown to this worker")
    if getattr(task, "carries_operation", False):
        _check_operation(kwargs)
    if getattr(task, "carries_batch", False):
        _check_batch(kwargs)


def _check_operation(kwargs: dict[str, Any]) -> None:
    operation_id = kwargs.get("operation_id")
    if set(kwargs) - {"operation_id", "version"} or not isinstance(operation_id, str):
        raise Malformed("the arguments are not operation_id and version")
    _check_uuid("operation_id", operation_id)


def _check_batch(kwargs: dict[str, Any]) -> None:
    campaign_id, batch = kwargs.get("campaign_id"), kwargs.get("batch")
    # A bool is an int to Python, and no number of a batch.
    if set(kwargs) - {"campaign_id", "batch", "version"} or not isinstance(campaign_id, str) or type(batch) is not int:
        raise Malformed("the arguments are not campaign_id, batch and version")
    if not 0 <= batch < _BATCHES:
        raise Malformed("batch is out of range")
    _check_uuid("campaign_id", campaign_id)


def _check_uuid(name: str, text: str) -> None:
    try:
        uuid.UUID(text)
    except ValueError:
        raise Malformed(f"{name} is not a UUID") from None
