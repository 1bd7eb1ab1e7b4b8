"""The calls of one batch that are under way, and the outcomes that have come in."""

from __future__ import annotations

import threading
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_worker.authentication.wire_connection import Outcome

ENOUGH: Final = 64
"""Outcomes that are worth a step."""
GATHER_S: Final = 0.02
"""How long outcomes are gathered, from the first one on."""
_ENDED: Final = object()


class UnderWay:
    """Gathers the outcomes of calls. The batch's thread uses it; outcomes come in on any thread."""

    def __init__(self, ended: Callable[[], None]) -> None:
        """Begin without calls.

        Args:
            ended: called once for each call: on the thread that brings the outcome, or when the call is given up.
        """
        self._ended = ended
        self._tickets: dict[int, int] = {}
        # The calls that still have a slot. Removing one is atomic, so that two threads cannot free its slot twice.
        self._open: dict[tuple[int, int], None] = {}
        self._outcomes: list[tuple[int, int, Any]] = []
        self._first = threading.Event()
        self._enough = threading.Event()
        self._goal = ENOUGH

    def __len__(self) -> int:
        """Return how many calls have no outcome that was taken."""
        return len(self._tickets)

    def add(self, row: int, ticket: int) -> Callable[[Outcome], None]:
        """Note a call that is about to begin, and return what takes its outcome."""
        self._tickets[row] = ticket
        self._open[(row, ticket)] = None
        self._goal = min(ENOUGH, len(self._tickets))
        return partial(self._put, row, ticket)

    def wait(self, seconds: float) -> list[tuple[int, int, Any]]:
        """Return the outcomes of rows in the order of their tickets, once there are enough.

        Args:
            seconds: how long to wait for the first one.
        """
        self._goal = min(ENOUGH, max(1, len(self._tickets)))
        if self._first.wait(seconds) and len(self._outcomes) < self._goal:
            self._enough.wait(GATHER_S)
        self._first.clear()
        self._enough.clear()
        # Appended to meanwhile: what comes in after the copy stays.
        taken = self._outcomes[:]
        del self._outcomes[: len(taken)]
        if self._outcomes:
            self._first.set()
        heard = [one for one in taken if self._tickets.get(one[0]) == one[1]]
        for row, _, _ in heard:
            del self._tickets[row]
        # As they were sent: failures in a row pause a campaign, and answers overtake each other.
        return sorted(heard, key=itemgetter(1))

    def give_up(self) -> list[tuple[int, int, Any]]:
        """Return the calls without an outcome, each with an error in its place.

        Their slots are free: their deadlines have passed, so they carry out nothing more. Their outcomes are not heard any more.
        """
        lost = [(row, ticket, TimeoutError("no outcome")) for row, ticket in self._tickets.items()]
        self._tickets.clear()
        for row, ticket, _ in lost:
            self._end(row, ticket)
        return lost

    def _end(self, row: int, ticket: int) -> None:
        if self._open.pop((row, ticket), _ENDED) is not _ENDED:
            self._ended()

    def _put(self, row: int, ticket: int, outcome: Outcome) -> None:
        self._end(row, ticket)
        self._outcomes.append((row, ticket, outcome))
        if len(self._outcomes) >= self._goal:
            self._enough.set()
        self._first.set()
