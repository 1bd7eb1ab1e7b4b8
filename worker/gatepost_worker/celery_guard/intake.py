"""Checks of a message before Celery builds a request from it.

Stock Celery reconnects in an endless loop on a message without `id`. Here a malformed message moves to the dead letters with its reason,
and the consumer continues.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

import structlog
from celery.exceptions import InvalidTaskError
from celery.utils.imports import instantiate
from celery.worker.strategy import default as celery_strategy
from kombu import compression

from gatepost_core.broker.message_validation import Malformed, check_message
from gatepost_core.broker.messages import SHOWN_ARGUMENTS
from gatepost_core.error_boundary import account
from gatepost_core.errors import InvalidValue, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery, Task

    from gatepost_core.dead_letters import DeadLetters

_log = structlog.stdlib.get_logger("gatepost.worker")
# A rejected message is delivered again at once; the pause keeps the consumer from spinning.
_PAUSE_S: Final = 0.2
# Raised by Celery's header parser for unusable values. AttributeError is not among them: it is a fault in the program.
_HEADER_ERRORS: Final = (InvalidTaskError, TypeError, ValueError, LookupError, ArithmeticError, RecursionError)
_CELERY_HEADERS: Final = {"lang", "task", "id", "eta", "expires", "retries", "ignore_result"}
_consumer_log = logging.getLogger("gatepost.worker")


def strategy(
    task: Task[Any, Any],
    app: Celery,
    consumer: Any,
    *,
    dead_letters: Callable[[], DeadLetters],
    seal: Callable[[str, dict[str, Any]], str] | None = None,
    is_operation: Callable[[str], bool] = lambda _task_id: False,
) -> Callable[..., Any]:
    """Return a task's `Strategy`: Celery's own message handler behind the checks.

    Args:
        task: the task.
        app: its app.
        consumer: Celery's consumer.
        dead_letters: returns the store for malformed messages.
        seal: seals the task's arguments under the task's id, so that Celery and its monitors see none of them.
        is_operation: whether a task's id is that of an operation. Celery would store the task's result in place of the operation's.
    """
    handle = celery_strategy(task, app, consumer)

    def checked(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **options: Any) -> Any:
        headers, written = message.headers, message.body
        try:
            arguments, embedded = check_message(headers, lambda: message.payload)
            message.headers = _celery_headers(headers, task)
            _check_request(task, app, message)
            _require_free_id(message.headers["id"], is_operation)
            if seal is not None:
                _seal_arguments(message, arguments, embedded, seal)
            return handle(message, body, ack, reject, callbacks, **options)
        except Malformed as failure:
            message.headers = headers
            dead_letter(message, str(failure), consumer, dead_letters())
        except consumer.connection_errors:
            raise
        except Exception as failure:  # noqa: BLE001 - the message has passed the checks, so the fault is the worker's; raised, it would end the consumer
            message.headers, message.body = headers, written
            _log.error("message.not_taken", task_id=message.headers.get("id"), failure=account(failure))
            if isinstance(failure, Unavailable) or not _came_before(message):
                requeue(message, consumer)
            else:
                # It would come first again, for ever, and the queue behind it would wait.
                reason = f"the worker failed while it took the message ({type(failure).__name__})"
                dead_letter(message, reason, consumer, dead_letters(), failed=True)
        return None

    return checked


def _require_free_id(task_id: str, is_operation: Callable[[str], bool]) -> None:
    if is_operation(task_id):
        raise Malformed("the task's id is that of an operation")


def _check_request(task: Task[Any, Any], app: Celery, message: Any) -> None:
    """Build Celery's request once as a test: a failure is due to the headers, and would repeat after every delivery."""
    try:
        instantiate(task.Request, message, app=app, task=task, headers=message.headers)
    except _HEADER_ERRORS as failure:
        raise Malformed(f"the headers are malformed ({type(failure).__name__})") from None


def _celery_headers(headers: dict[str, Any], task: Task[Any, Any]) -> dict[str, Any]:
    """Return the headers that Celery needs. Celery shows every header in events and logs, and a sender may write anything there."""
    kept = {name: headers[name] for name in _CELERY_HEADERS & headers.keys() if headers[name] not in (None, "")}
    if task.ignore_result:
        # The header would be stronger, and Celery would then overwrite the result that the ledger has stored.
        kept["ignore_result"] = True
    return {**kept, "argsrepr": SHOWN_ARGUMENTS, "kwargsrepr": SHOWN_ARGUMENTS, "root_id": headers["id"]}


def _seal_arguments(
    message: Any, arguments: dict[str, Any], embedded: dict[str, Any], seal: Callable[[str, dict[str, Any]], str]
) -> None:
    if "sealed" in arguments:
        return  # a worker sealed them before it requeued the message
    try:
        sealed = seal(message.headers["id"], arguments)
    except InvalidValue as failure:
        raise Malformed(str(failure)) from None
    replace_body(message, [[], {"sealed": sealed}, embedded])


def replace_body(message: Any, body: list[Any]) -> None:
    """Give a message another body."""
    message.body = json.dumps(body)
    message._decoded_cache = None  # noqa: SLF001 - kombu has no public way to drop the decoded body


def dead_letter(message: Any, reason: str, consumer: Any, dead_letters: DeadLetters, *, failed: bool = False) -> None:
    """Move a message to the dead letters. It stays on its queue while Redis cannot store it."""
    routing_key = (message.delivery_info or {}).get("routing_key")
    # The name is stored unsealed, and an AMQP client can write any text there.
    queue = routing_key if isinstance(routing_key, str) and routing_key in consumer.app.amqp.queues else "(another)"
    kept = {
        "headers": message.headers,
        "properties": message.properties,
        "body": _text(message.body),
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
    }
    try:
        letter_id = dead_letters.add(kept, reason=reason, queue=queue)
        dead_letters.answer(_id_of(message), reason)
    except Unavailable as failure:
        _log.error("message.not_stored", reason=reason, error=str(failure))
        requeue(message, consumer)
        return
    if failed:
        _log.error("message.set_aside", reason=reason, queue=queue, dead_letter=letter_id)
    else:
        _log.error("message.malformed", reason=reason, queue=queue, dead_letter=letter_id)
    message.ack_log_error(_consumer_log, consumer.connection_errors)


def _id_of(message: Any) -> object:
    return message.headers.get("id") if isinstance(message.headers, dict) else None


def _came_before(message: Any) -> bool:
    """Return whether the broker delivers the message again, after a fault or the end of a worker."""
    return bool((message.delivery_info or {}).get("redelivered"))


def requeue(message: Any, consumer: Any) -> None:
    """Return a message to its queue after a pause: the fault is not the message's."""
    time.sleep(_PAUSE_S)
    message.reject_log_error(_consumer_log, consumer.connection_errors, requeue=True)


def refuse_compression() -> None:
    """Make kombu refuse compressed bodies in this process: it unpacks before any check, and a megabyte can become a gigabyte.

    Gatepost compresses nothing. kombu keeps the refusal with the message and leaves the body packed.
    """
    for content_type in compression.encoders():
        # kombu's hints say that this is one function.
        encoder_and_type: Any = compression.get_encoder(content_type)
        compression.register(encoder_and_type[0], _refuse, content_type)


def _refuse(_body: bytes) -> NoReturn:
    raise ValueError("the body is compressed")


def _text(body: Any) -> str:
    # A byte that is not UTF-8 becomes a surrogate; a replay turns it back into the same byte.
    return body.decode("utf-8", "surrogateescape") if isinstance(body, bytes) else str(body)
