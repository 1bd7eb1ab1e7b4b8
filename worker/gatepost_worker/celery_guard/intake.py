"""What a worker checks of a message before Celery builds a request from it.

Stock Celery reconnects in an endless loop on a message without `id`. Here whatever is malformed goes to the dead letters with its
reason, and the consumer goes on.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery.exceptions import InvalidTaskError
from celery.utils.imports import instantiate
from celery.worker.strategy import default as celery_strategy

from gatepost_core.broker.message_validation import Malformed, check_message
from gatepost_core.broker.messages import SHOWN_ARGUMENTS, Queue
from gatepost_core.error_boundary import account
from gatepost_core.errors import InvalidValue, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery, Task

    from gatepost_core.dead_letters import DeadLetters

_log = structlog.stdlib.get_logger("gatepost.worker")
# It comes back at once; this keeps the consumer from spinning.
_BREATH_S: Final = 0.2
# What Celery's parser of headers raises for a value it cannot use. Not AttributeError, which is an error in the program.
_UNUSABLE: Final = (InvalidTaskError, TypeError, ValueError, LookupError, ArithmeticError, RecursionError)
_NEEDED: Final = {"lang", "task", "id", "eta", "expires", "retries", "ignore_result"}
_consumer_log = logging.getLogger("gatepost.worker")


def strategy(
    task: Task[Any, Any],
    app: Celery,
    consumer: Any,
    *,
    dead_letters: Callable[[], DeadLetters],
    seal: Callable[[str, dict[str, Any]], str] | None = None,
) -> Callable[..., Any]:
    """Return Celery's own message handler for the task, behind a check. A task's `Strategy`.

    Args:
        task: the task.
        app: its app.
        consumer: Celery's.
        dead_letters: where malformed messages go.
        seal: seals the task's arguments by the task's id, so that Celery and what watches it see none of them.
    """
    handle = celery_strategy(task, app, consumer)

    def checked(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **options: Any) -> Any:
        came, written = message.headers, message.body
        try:
            check_message(came, lambda: message.payload)
            message.headers = _shown(came)
            _check_request(task, app, message)
            if seal is not None:
                _seal_arguments(message, seal)
            return handle(message, body, ack, reject, callbacks, **options)
        except Malformed as failure:
            message.headers = came
            bury(message, str(failure), consumer, dead_letters())
        except consumer.connection_errors:
            raise
        except Exception as failure:  # noqa: BLE001 - behind the checks an error is this worker's, and it would end the consumer
            message.headers, message.body = came, written
            give_back(message, failure, consumer)
        return None

    return checked


def _check_request(task: Task[Any, Any], app: Celery, message: Any) -> None:
    """Build Celery's request once for nothing: what fails here fails for the message's headers, and would again after every delivery."""
    try:
        instantiate(task.Request, message, app=app, task=task, headers=message.headers)
    except _UNUSABLE as failure:
        raise Malformed(f"the headers are malformed ({type(failure).__name__})") from None


def _shown(headers: dict[str, Any]) -> dict[str, Any]:
    """Return those headers which Celery needs; it shows all that it knows in events and logs, whatever a stranger wrote there."""
    kept = {name: headers[name] for name in _NEEDED & headers.keys() if headers[name] not in (None, "")}
    return {**kept, "argsrepr": SHOWN_ARGUMENTS, "kwargsrepr": SHOWN_ARGUMENTS, "root_id": headers["id"]}


def _seal_arguments(message: Any, seal: Callable[[str, dict[str, Any]], str]) -> None:
    positional, arguments, embedded = message.payload
    if "sealed" in arguments:
        return  # put back by a worker, which sealed them
    try:
        sealed = seal(message.headers["id"], arguments)
    except InvalidValue as failure:
        raise Malformed(str(failure)) from None
    message.body = json.dumps([positional, {"sealed": sealed}, embedded])
    # kombu keeps what it has decoded.
    message._decoded_cache = None  # noqa: SLF001 - kombu has no other way


def bury(message: Any, reason: str, consumer: Any, dead_letters: DeadLetters) -> None:
    """Move a message to the dead letters. While Redis cannot take it, it stays on its queue."""
    named = (message.delivery_info or {}).get("routing_key")
    # Over AMQP a stranger may name any; it stands in clear.
    queue = named if isinstance(named, str) and named in set(Queue) else "(another)"
    kept = {
        "headers": message.headers,
        "properties": message.properties,
        "body": _text(message.body),
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
    }
    try:
        letter_id = dead_letters.add(kept, reason=reason, queue=queue)
    except Unavailable as failure:
        _log.error("message.malformed", reason=reason, error=str(failure))
        time.sleep(_BREATH_S)
        message.reject_log_error(_consumer_log, consumer.connection_errors, requeue=True)
        return
    _log.error("message.malformed", reason=reason, queue=queue, dead_letter=letter_id)
    message.ack_log_error(_consumer_log, consumer.connection_errors)


def give_back(message: Any, failure: Exception, consumer: Any) -> None:
    """Log the error and put the message back on its queue: the error is this worker's, not the message's."""
    _log.error("message.not_taken", task_id=message.headers.get("id"), failure=account(failure))
    time.sleep(_BREATH_S)
    message.reject_log_error(_consumer_log, consumer.connection_errors, requeue=True)


def _text(body: Any) -> str:
    # A byte that is no UTF-8 becomes a surrogate, and the same byte again before a replay.
    return body.decode("utf-8", "surrogateescape") if isinstance(body, bytes) else str(body)
