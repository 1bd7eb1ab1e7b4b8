"""Whether this worker makes progress: what its consumer's loop notes, and the judgement of it.

No ping, as `celery inspect ping` is: that goes through the broker, and its answer does not say that messages are taken.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from celery import bootsteps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TURN_EVERY_S: Final = 1.0
"""How often the loop notes that it turns; it waits no longer than this for events."""


@dataclass(frozen=True, slots=True)
class Report:
    """How the worker stands. Nothing in it belongs to a person.

    Attributes:
        problems: a sentence each; none when all is well.
        connected: whether the consumer has a connection to the broker.
        loop_turned_s_ago: None before the first turn.
        taken: messages taken since the start.
        waiting: messages on each of the worker's queues, as last seen.
        slots_free: how many calls it could carry out besides those under way, as last seen.
    """

    problems: tuple[str, ...]
    connected: bool
    loop_turned_s_ago: float | None
    taken: int
    waiting: Mapping[str, int]
    slots_free: int

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        turned = self.loop_turned_s_ago
        return {
            "healthy": self.healthy,
            "problems": list(self.problems),
            "connected": self.connected,
            "loop_turned_s_ago": None if turned is None else round(turned, 1),
            "taken": self.taken,
            "waiting": dict(self.waiting),
            "slots_free": self.slots_free,
        }


class Liveness:
    """What one worker process notes of itself. Safe to share between threads."""

    def __init__(self, patience_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin to watch.

        Args:
            patience_s: how long each thing may last that should not.
            monotonic: seconds that only go forward.
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
        # Since when messages wait while slots are free and none is taken, and how many had been taken by then.
        self._idle_since: float | None = None
        self._idle_taken = 0

    def connected(self) -> None:
        """Note that the consumer has a connection to the broker."""
        with self._lock:
            self._down_since = None
            self._turned_at = self._monotonic()

    def disconnected(self) -> None:
        """Note that it has none."""
        with self._lock:
            if self._down_since is None:
                self._down_since = self._monotonic()

    def turned(self) -> None:
        """Note one more turn of the consumer's loop."""
        self._turned_at = self._monotonic()

    def took(self) -> None:
        """Note one more message taken; from the loop's thread only."""
        self._taken += 1

    def stopping(self) -> None:
        """Note that the process is ending: it takes nothing more, and that is right."""
        self._stopping = True

    def sampled(self, waiting: Mapping[str, int], slots_free: int) -> None:
        """Note how many messages wait on the worker's queues, and how many more calls it could carry out."""
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
        """Return how the worker stands now."""
        now = self._monotonic()
        with self._lock:
            turned = self._turned_at
            return Report(
                problems=() if self._stopping else tuple(self._problems(now)),
                connected=self._down_since is None,
                loop_turned_s_ago=None if turned is None else now - turned,
                taken=self._taken,
                waiting=self._waiting,
                slots_free=self._slots_free,
            )

    def _problems(self, now: float) -> list[str]:
        found = []
        if self._turned_at is None:
            found.append("The worker is starting: its consumer's loop has not turned yet.")
        elif self._down_since is not None:
            self._note(found, now - self._down_since, "The connection to the broker has been down for {0:.0f} s.")
        else:
            self._note(found, now - self._turned_at, "The consumer's loop has not turned for {0:.0f} s.")
        self._note(found, now - self._sampled_at, "The broker has not said for {0:.0f} s how many messages wait.")
        if self._idle_since is not None and self._taken == self._idle_taken:
            text = "Messages wait and slots are free, but none has been taken for {0:.0f} s."
            self._note(found, now - self._idle_since, text)
        return found

    def _note(self, found: list[str], seconds: float, text: str) -> None:
        if seconds > self._patience_s:
            found.append(text.format(seconds))


class LivenessStep(bootsteps.StartStopStep):
    """The part of Celery's consumer that notes connections and turns of its loop. An app adds `step_for(…)` to its steps."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    liveness: ClassVar[Liveness]

    def start(self, consumer: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Note that the consumer is connected and about to loop."""
        self.liveness.connected()

    def stop(self, consumer: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Note that its connection is over."""
        self.liveness.disconnected()

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Let the loop note that it turns. Celery takes the timer away with the connection."""
        hub.timer.call_repeatedly(TURN_EVERY_S, self.liveness.turned)


def step_for(liveness: Liveness) -> type[LivenessStep]:
    """Return the step that notes for one process."""
    return type("LivenessStep", (LivenessStep,), {"liveness": liveness})
