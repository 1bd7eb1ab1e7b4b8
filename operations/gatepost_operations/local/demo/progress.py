"""Shows how the demo comes along: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Protocol, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from gatepost_core.commands import Kind
from gatepost_core.states import State
from gatepost_operations.cli.output import say
from gatepost_operations.cli.terminal import Description, console

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping
    from types import TracebackType

    from rich.progress import TaskID

    States = Mapping[str, Counter[State]]

CAMPAIGN: Final = "campaign"
LABELS: Final[dict[str, str]] = {
    Kind.SEND_EMAIL: "e-mails",
    Kind.SEND_SMS: "SMS",
    Kind.LOGIN_WITH_EMAIL: "logins by e-mail",
    Kind.LOGIN_WITH_SMS: "logins by SMS",
    CAMPAIGN: "campaign",
}
_LINE_EVERY_S: Final = 3.0


class Watching(Protocol):
    """What somebody who watches is shown."""

    def event(self, text: str) -> None:
        """Show that something happened."""

    def show(self, states: States) -> None:
        """Show how everything stands."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def watching() -> Watching:
    """Return bars when standard error is a terminal, lines otherwise."""
    return Bars() if sys.stderr.isatty() else Lines()


class Bars:
    """Rich progress bars, with what happened above them."""

    def __init__(self) -> None:
        self._progress = Progress(
            Description(),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[states]}", markup=False),
            console=console(stderr=True),
        )
        self._bars: dict[str, TaskID] = {}

    def event(self, text: str) -> None:
        """Show that something happened."""
        self._progress.console.print(f"• {text}")

    def show(self, states: States) -> None:
        """Show how everything stands."""
        for kind, counts in states.items():
            if not counts:
                continue
            if kind not in self._bars:
                self._bars[kind] = self._progress.add_task(LABELS[kind], states="")
            self._progress.update(
                self._bars[kind], total=counts.total(), completed=_ended(counts), states=_ends_of(counts)
            )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class Lines:
    """A line every few seconds, and one for whatever happens."""

    def __init__(self) -> None:
        self._next = 0.0

    def event(self, text: str) -> None:
        """Show that something happened."""
        say(f"• {text}")

    def show(self, states: States) -> None:
        """Show how everything stands, now and then."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINE_EVERY_S
        parts = [f"{LABELS[kind]} {_ended(counts)}/{counts.total()}" for kind, counts in states.items() if counts]
        say("  " + " · ".join(parts))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End without a trace."""


def _ended(counts: Counter[State]) -> int:
    return sum(count for state, count in counts.items() if state.is_terminal)


def _ends_of(counts: Counter[State]) -> str:
    return " · ".join(f"{counts[state]} {state}" for state in State if state.is_terminal and counts[state])
