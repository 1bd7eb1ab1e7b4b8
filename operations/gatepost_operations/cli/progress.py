"""Progress on standard error: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from gatepost_core.safe_text import visible
from gatepost_operations.cli.output import say
from gatepost_operations.cli.terminal import Description, can_draw, console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.progress import TaskID


@dataclass(frozen=True, slots=True)
class Row:
    """The progress of one thing.

    Attributes:
        name: its name.
        done: how much of it has ended.
        total: how much there is.
        details: more about it, in a few words.
    """

    name: str
    done: int
    total: int
    details: str = ""


class ProgressDisplay(Protocol):
    """Shows progress until it ends."""

    def event(self, text: str) -> None:
        """Show an event at once."""

    def update(self, rows: Sequence[Row], note: str = "", *, is_last: bool = False) -> None:
        """Show the present state, with a note when it differs from the last one."""


@contextmanager
def progress_display(*, every_s: float, first_after_s: float = 0.0) -> Iterator[ProgressDisplay]:
    """Give bars when standard error is a terminal, lines otherwise.

    Args:
        every_s: seconds between two lines.
        first_after_s: seconds before the first line.
    """
    if not can_draw(sys.stderr):
        yield Lines(every_s, first_after_s)
        return
    bars = Bars()
    with bars.live:
        yield bars


class Bars:
    """A bar for each row, and the details beneath. Notes and events scroll above.

    Attributes:
        live: draws the bars while it is entered.
    """

    def __init__(self) -> None:
        columns = (Description(), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), MofNCompleteColumn())
        self._progress = Progress(*columns)
        self._tasks: dict[str, TaskID] = {}
        self._details = Text()
        self._note = ""
        bars = Group(self._progress, self._details)
        self.live = Live(bars, console=console(stderr=True), transient=True, refresh_per_second=4)

    def event(self, text: str) -> None:
        """Print an event above the bars."""
        self.live.console.print(text, soft_wrap=True)

    def update(self, rows: Sequence[Row], note: str = "", *, is_last: bool = False) -> None:  # noqa: ARG002 - Lines' own
        """Move the bars."""
        for row in rows:
            if row.name not in self._tasks:
                self._tasks[row.name] = self._progress.add_task(row.name)
            self._progress.update(self._tasks[row.name], total=max(1, row.total), completed=row.done)
        several = len(rows) > 1
        details = (f"{row.name}: {row.details}" if several else row.details for row in rows if row.details)
        self._details.plain = "\n".join(map(visible, details))
        if note and note != self._note:
            self.event(note)
        self._note = note


class Lines:
    """A line every few seconds, and at once when the note changes or at the end."""

    def __init__(
        self, every_s: float, first_after_s: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_s = every_s
        self._monotonic = monotonic
        self._next = monotonic() + first_after_s
        self._note = ""

    def event(self, text: str) -> None:
        """Print an event."""
        say(text)

    def update(self, rows: Sequence[Row], note: str = "", *, is_last: bool = False) -> None:
        """Print a line when it is time."""
        now = self._monotonic()
        if now < self._next and note == self._note and not is_last:
            return
        self._next, self._note = now + self._every_s, note
        say(" · ".join(filter(None, [*_texts(rows), note])))


def _texts(rows: Sequence[Row]) -> Iterator[str]:
    if len(rows) > 1:
        yield from (f"{row.name} {row.done:,} of {row.total:,}" for row in rows)
        return
    for row in rows:
        yield f"{row.done:,} of {row.total:,}"
        yield row.details
