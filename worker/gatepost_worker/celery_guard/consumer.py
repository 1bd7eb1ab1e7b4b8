"""A Celery consumer that keeps what it cannot take: unknown tasks, foreign protocols and undecodable bodies go to the dead letters.

Celery's own logs such a message and drops it. Named by the setting `worker_consumer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from celery.worker.consumer import Consumer

from gatepost_core.broker.message_validation import flaw_of_content, flaw_of_depth
from gatepost_worker.celery_guard.intake import bury

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_core.dead_letters import DeadLetters
    from gatepost_worker.upkeep.liveness import Liveness


class KeepingConsumer(Consumer):
    """Buries instead of dropping, and notes every message taken. The app that names this class sets its parts."""

    dead_letters: ClassVar[Callable[[], DeadLetters]]
    liveness: ClassVar[Liveness]

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Return Celery's handler of messages, behind a note that one was taken."""
        handle: Callable[[Any], Any] = super().create_task_handler(*args, **options)

        def noted(message: Any) -> Any:
            self.liveness.took()
            headers = message.headers
            task = headers.get("task") if isinstance(headers, dict) else None
            if not isinstance(task, str):
                # Celery looks its strategy up before anybody can look at the rest.
                return self._bury(message, "the message is not of Celery's protocol 2")
            flaw = flaw_of_depth(headers) or flaw_of_content(message.content_type, message.content_encoding)
            if flaw is not None:
                return self._bury(message, flaw)
            return handle(message)

        return noted

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Keep a message that is of no protocol Celery knows."""
        self._bury(message, "the message is not of Celery's protocol 2")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Keep a message for a task that this worker does not have."""
        self._bury(message, "there is no such task here")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Keep a message from which Celery could not build a request."""
        self._bury(message, f"the headers are malformed ({type(exc).__name__})")

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep a message whose body cannot be decoded."""
        self._bury(message, f"the body cannot be read ({type(exc).__name__})")

    def _bury(self, message: Any, reason: str) -> None:
        bury(message, reason, self, type(self).dead_letters())


def consumer_class(dead_letters: Callable[[], DeadLetters], liveness: Liveness) -> type[KeepingConsumer]:
    """Return the consumer class of one app."""
    parts = {"dead_letters": staticmethod(dead_letters), "liveness": liveness}
    return type("GatepostConsumer", (KeepingConsumer,), parts)
