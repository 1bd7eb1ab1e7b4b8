"""A Celery consumer that moves unknown tasks, other protocols and undecodable bodies to the dead letters.

Celery's own consumer logs such a message and drops it. The setting `worker_consumer` names this one.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from celery.worker.consumer import Consumer

from gatepost_core.broker.message_validation import flaw_of_content, flaw_of_depth, of_protocol_2
from gatepost_worker.celery_guard.intake import dead_letter, replace_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_core.dead_letters import DeadLetters
    from gatepost_worker.upkeep.liveness import Liveness


class DeadLetterConsumer(Consumer):
    """Stores refused messages and counts every message taken. `consumer_class` sets the class attributes."""

    dead_letters: ClassVar[Callable[[], DeadLetters]]
    liveness: ClassVar[Liveness]

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Return Celery's message handler, preceded by the count and by checks of the headers."""
        handle: Callable[[Any], Any] = super().create_task_handler(*args, **options)

        def checked(message: Any) -> Any:
            self.liveness.took()
            if _is_without_task(message):
                _change_protocol(message)
            if _is_without_task(message):
                # Celery looks the strategy up by this header, before the strategy can check it.
                return self._dead_letter(message, "the message is not of Celery's protocol 1 or 2")
            headers = message.headers
            flaw = flaw_of_depth(headers) or flaw_of_content(message.content_type, message.content_encoding)
            if flaw is not None:
                return self._dead_letter(message, flaw)
            return handle(message)

        return checked

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Store a message of a protocol that Celery does not know."""
        self._dead_letter(message, "the message is not of Celery's protocol 1 or 2")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Store a message for a task that this worker does not have."""
        self._dead_letter(message, "there is no such task here")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Store a message from which Celery could not build a request."""
        self._dead_letter(message, f"the headers are malformed ({type(exc).__name__})")

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Store a message whose body cannot be decoded."""
        self._dead_letter(message, f"the body cannot be read ({type(exc).__name__})")

    def _dead_letter(self, message: Any, reason: str) -> None:
        dead_letter(message, reason, self, type(self).dead_letters())


def _is_without_task(message: Any) -> bool:
    return not isinstance(message.headers, dict) or not isinstance(message.headers.get("task"), str)


def _change_protocol(message: Any) -> None:
    """Give a message of Celery's protocol 1 the form of protocol 2, which the checks know."""
    if flaw_of_content(message.content_type, message.content_encoding) is not None:
        return
    # kombu's decoders can raise any class; the checks that follow name the flaw.
    with suppress(Exception):
        found = of_protocol_2(message.payload)
        if found is not None:
            message.headers, body = found
            replace_body(message, body)


def consumer_class(dead_letters: Callable[[], DeadLetters], liveness: Liveness) -> type[DeadLetterConsumer]:
    """Return the consumer class of one app."""
    parts = {"dead_letters": staticmethod(dead_letters), "liveness": liveness}
    return type("GatepostConsumer", (DeadLetterConsumer,), parts)
