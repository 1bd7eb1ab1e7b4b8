"""Progress on standard error: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from gatepost_core.safe_text import visible
from gatepost_operations.cli.output import say
from gatepost_operations.cli.terminal import Description, can_draw, console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    """A bar for each row, and the details beneath. Events scroll above.

    Attributes:
        live: draws the bars while it is entered.
    """

    def __init__(self) -> None:
        columns = (Description(), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), MofNCompleteColumn())
        self._progress = Progress(*columns)
        self._tasks: dict[str, TaskID] = {}
        self._details = Text()
        bars = Group(self._progress, self._details)
        self.live = Live(bars, console=console(stderr=True), transient=True, refresh_per_second=4)

    def event(self, text: str) -> None:
        """Print an event above the bars."""
        self.live.console.print(text, soft_wrap=True)

    def update(self, rows: Sequence[Row]) -> None:
        """Move the bars."""
        for row in rows:
            if row.name not in self._tasks:
                self._tasks[row.name] = self._progress.add_task(row.name)
            self._progress.update(self._tasks[row.name], total=max(1, row.total), completed=row.done)
        several = len(rows) > 1
        details = (f"{row.name}: {row.details}" if several else row.details for row in rows if row.details)
        self._details.plain = "\n".join(map(visible, details))


class Lines:
    """A line every few seconds."""

    def __init__(self, every_s: float, first_after_s: float = 0.0) -> None:
        self._every_s = every_s
        self._next = time.monotonic() + first_after_s

    def event(self, text: str) -> None:
        """Print an event."""
        say(text)

    def update(self, rows: Sequence[Row]) -> None:
        """Print a line when it is time."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._every_s
            say(" · ".join(filter(None, _texts(rows))))


ProgressDisplay = Bars | Lines


def _texts(rows: Sequence[Row]) -> Iterator[str]:
    if len(rows) > 1:
        yield from (f"{row.name} {row.done:,} of {row.total:,}" for row in rows)
        return
    for row in rows:
        yield f"{row.done:,} of {row.total:,}"
        yield row.details
