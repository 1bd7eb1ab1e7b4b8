"""Whether this worker makes progress: a record kept by its consumer's loop, and the report made from it.

`celery inspect ping` does not show this: it goes through the broker, and its answer does not say that messages are taken.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import structlog
from celery import bootsteps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = structlog.stdlib.get_logger("gatepost.worker")

TURN_EVERY_S: Final = 1.0
"""How often the loop records a turn; it waits no longer than this for events."""


@dataclass(frozen=True, slots=True)
class Report:
    """A worker's health. It holds no personal data.

    Attributes:
        problems: one sentence for each; empty for a healthy worker.
        restart_helps: whether a restart solves one of the problems; it solves none of a broker.
        connected: whether the consumer has a connection to the broker.
        loop_turned_s_ago: seconds since the consumer's loop last turned; None before the first turn.
        taken: messages taken since the start.
        waiting: messages on each of the worker's queues at the last sample.
        slots_free: how many more calls the worker could carry out at the last sample.
    """

    problems: tuple[str, ...]
    restart_helps: bool
    connected: bool
    loop_turned_s_ago: float | None
    taken: int
    waiting: Mapping[str, int]
    slots_free: int

    @property
    def healthy(self) -> bool:
        """Whether the report has no problem."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        turned = self.loop_turned_s_ago
        return {
            "healthy": self.healthy,
            "problems": list(self.problems),
            "restart_helps": self.restart_helps,
            "connected": self.connected,
            "loop_turned_s_ago": None if turned is None else round(turned, 1),
            "taken": self.taken,
            "waiting": dict(self.waiting),
            "slots_free": self.slots_free,
        }


class Liveness:
    """The record of one worker process's progress. Safe to share between threads."""

    def __init__(self, patience_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start the record.

        Args:
            patience_s: how many seconds a bad condition may last before it is reported.
            monotonic: returns the seconds of a monotonic clock.
        """
        self._patience_s = patience_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._down_since: float | None = monotonic()
        self._turned_at: float | None = None
        self._taken = 0
        self._stopping = False
        self._sampled_at = monotonic()
        self._waiting: Mapping[str, int] = {}
        self._slots_free = 0
        # When messages began to wait although slots are free, and how many had been taken by then.
        self._idle_since: float | None = None
        self._idle_taken = 0

    def connected(self) -> None:
        """Record that the consumer has a connection to the broker."""
        with self._lock:
            self._down_since = None
            self._turned_at = self._monotonic()

    def disconnected(self) -> None:
        """Record that it has none."""
        with self._lock:
            if self._down_since is None:
                self._down_since = self._monotonic()

    def turned(self) -> None:
        """Record a turn of the consumer's loop."""
        self._turned_at = self._monotonic()

    def took(self) -> None:
        """Count a message taken; call this from the loop's thread only."""
        self._taken += 1

    def stopping(self) -> None:
        """Record that the process is ending, so that taking no messages is no problem."""
        self._stopping = True

    @property
    def is_stopping(self) -> bool:
        """Whether the process is ending."""
        return self._stopping

    def sampled(self, waiting: Mapping[str, int], slots_free: int) -> None:
        """Record a sample: the number of waiting messages by queue, and the number of free slots."""
        now = self._monotonic()
        with self._lock:
            self._sampled_at = now
            self._waiting, self._slots_free = waiting, slots_free
            idle = slots_free > 0 and any(waiting.values())
            if not idle:
                self._idle_since = None
            elif self._idle_since is None or self._taken != self._idle_taken:
                self._idle_since, self._idle_taken = now, self._taken

    def report(self) -> Report:
        """Return the worker's health now."""
        now = self._monotonic()
        with self._lock:
            turned = self._turned_at
            broker = [] if self._stopping else self._problems_of_broker(now)
            own = [] if self._stopping else self._own_problems(now)
            return Report(
                problems=(*own, *broker),
                restart_helps=bool(own),
                connected=self._down_since is None,
                loop_turned_s_ago=None if turned is None else now - turned,
                taken=self._taken,
                waiting=self._waiting,
                slots_free=self._slots_free,
            )

    def _problems_of_broker(self, now: float) -> list[str]:
        found: list[str] = []
        if self._turned_at is None:
            found.append("The worker is starting: its consumer's loop has not turned yet.")
        elif self._down_since is not None:
            self._add_if_long(
                found, now - self._down_since, "The connection to the broker has been down for {0:.0f} s."
            )
        self._add_if_long(
            found, now - self._sampled_at, "The broker has not said for {0:.0f} s how many messages wait."
        )
        return found

    def _own_problems(self, now: float) -> list[str]:
        found: list[str] = []
        if self._turned_at is not None and self._down_since is None:
            self._add_if_long(found, now - self._turned_at, "The consumer's loop has not turned for {0:.0f} s.")
        if self._idle_since is not None and self._taken == self._idle_taken:
            text = "Messages wait and slots are free, but no message has been taken for {0:.0f} s."
            self._add_if_long(found, now - self._idle_since, text)
        return found

    def _add_if_long(self, found: list[str], seconds: float, text: str) -> None:
        if seconds > self._patience_s:
            found.append(text.format(seconds))


class LivenessStep(bootsteps.StartStopStep):
    """The step of Celery's consumer that records its connections and the turns of its loop. An app adds `step_for(…)` to its steps."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    liveness: ClassVar[Liveness]

    def start(self, consumer: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Record that the consumer is connected and starts its loop."""
        self.liveness.connected()
        _log.info("worker.connected")

    def stop(self, consumer: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Record that its connection has ended."""
        self.liveness.disconnected()
        _log.warning("worker.disconnected")

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Record each turn of the loop. Celery removes the timer with the connection."""
        hub.timer.call_repeatedly(TURN_EVERY_S, self.liveness.turned)


def step_for(liveness: Liveness) -> type[LivenessStep]:
    """Return the step that keeps one process's record."""
    return type("LivenessStep", (LivenessStep,), {"liveness": liveness})
