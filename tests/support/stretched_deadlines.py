"""A short deadline first, and longer ones where a busy machine did not come as far as the test needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome = TypeVar("Outcome")
DEADLINES_S: Final = (0.4, 2.0, 10.0, 60.0)


def stretched(attempt: Callable[[float], Outcome], reached: Callable[[Outcome], bool]) -> Outcome:
    """Repeat an attempt with longer deadlines, in seconds, until it reached its point; return the last outcome."""
    for seconds in DEADLINES_S:
        outcome = attempt(seconds)
        if reached(outcome):
            break
    return outcome
