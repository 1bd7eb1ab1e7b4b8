"""The remote commands of `celery control` and Flower that a worker accepts. The others are answered with the reason.

Every command of Celery is listed; None marks an accepted one. A test compares the list with Celery's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery.worker.control import Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SLOTS: Final = "The number of slots is fixed at the start: celery worker --concurrency, gatepost worker --concurrency."
_CANCEL: Final = "Gatepost ignores revoked tasks; use Handle.cancel() or gatepost campaign cancel."
_RATE: Final = "All workers share one limiter; use AUTH0_MAX_RATE, or gatepost campaign change --rate."
_DEADLINE: Final = (
    "A thread cannot be stopped; use GATEPOST_EMAIL_DEADLINE, GATEPOST_SMS_DEADLINE and GATEPOST_LOGIN_DEADLINE."
)

COMMANDS: Final[Mapping[str, str | None]] = {
    "active": None,
    "active_queues": None,
    "add_consumer": None,
    "autoscale": _SLOTS,
    "cancel_consumer": None,
    "clock": None,
    "conf": None,
    "disable_events": None,
    "election": "Gatepost's workers do not support elections.",
    "enable_events": None,
    "heartbeat": None,
    "hello": None,
    "memdump": None,
    "memsample": None,
    "objgraph": "The graph would show addresses and codes that are in memory.",
    "ping": None,
    "pool_grow": _SLOTS,
    "pool_restart": "Restart the worker: SIGHUP.",
    "pool_shrink": _SLOTS,
    "query_task": None,
    "rate_limit": _RATE,
    "registered": None,
    "report": None,
    "reserved": None,
    "revoke": _CANCEL,
    "revoke_by_stamped_headers": _CANCEL,
    "revoked": None,
    "scheduled": None,
    "shutdown": None,
    "stats": None,
    "terminate": _CANCEL,
    "time_limit": _DEADLINE,
}


def install() -> None:
    """Replace the refused commands in this process."""
    for name, sentence in COMMANDS.items():
        if sentence is not None:
            Panel.data[name] = _refusal(sentence)
    Panel.data["add_consumer"] = _for_own_queues(Panel.data["add_consumer"])


def _refusal(sentence: str) -> Callable[..., Any]:
    return lambda _state, **_arguments: {"error": sentence}


def _for_own_queues(add_consumer: Callable[..., Any]) -> Callable[..., Any]:
    def checked(state: Any, queue: Any = None, **arguments: Any) -> Any:
        # Messages of other applications would be dead-lettered as malformed.
        queues = state.app.amqp.queues
        if queue not in queues:
            return {"error": f"There is no such queue; the queues are {', '.join(queues)}."}
        return add_consumer(state, queue, **arguments)

    return checked
