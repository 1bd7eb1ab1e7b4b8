"""The screen of a watched campaign: drawn on a terminal, lines of plain text elsewhere."""

from __future__ import annotations

import math
import shutil
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from rich.columns import Columns
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gatepost_core.safe_text import visible
from gatepost_core.states import FAILED_STATES, Outlook, State
from gatepost_operations.cli.campaign.next_steps import next_steps
from gatepost_operations.cli.output import say
from gatepost_operations.cli.terminal import can_draw, console, quiet_keys
from gatepost_operations.formatting import counted, duration_text
from gatepost_operations.planning.view_text import (
    activity_text,
    event_text,
    event_time,
    finish_text,
    pace_text,
    quota_text,
    timezone_of,
)
from gatepost_operations.planning.watch import elapsed_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.planning.campaign_events import CampaignEvent
    from gatepost_operations.planning.observer import CampaignView

_EVENTS: Final = 3
_LABEL: Final = 7
# A log has no width.
_NO_WIDTH: Final = 1 << 16
# Colours that can be read on a light and on a dark background. The characters differ too, for terminals without colours.
_LOOKS: Final[dict[Outlook, tuple[str, str, str]]] = {
    Outlook.ACCEPTED: ("█", "#", "green"),
    Outlook.REFUSED: ("▓", "x", "red"),
    Outlook.UNKNOWN: ("▒", "?", "magenta"),
    Outlook.NOT_WANTED: ("▪", "-", ""),
    Outlook.CALLING: ("━", ">", "cyan"),
    Outlook.WAITING: ("─", ".", ""),
}
_ORDER: Final = sorted(State, key=lambda state: list(_LOOKS).index(state.outlook))


class Display(Protocol):
    """Shows views of a campaign."""

    every_s: float
    """Seconds between two views."""
    patience_s: float
    """Seconds without an answer of Redis after which watching ends."""

    def show(self, view: CampaignView) -> None:
        """Show a view."""


@contextmanager
def text_display(every_s: float) -> Iterator[Display]:
    """Give a screen if standard error is a terminal that understands control codes, otherwise lines.

    Args:
        every_s: seconds between two lines.
    """
    if not can_draw(sys.stderr):
        yield Lines(every_s)
        return
    screen = Screen(console(stderr=True))
    with quiet_keys(), screen.live:
        yield screen


class Screen:
    """Draws each view over the one before.

    Attributes:
        live: draws while it is entered, and leaves nothing behind.
    """

    every_s = 0.25
    patience_s = math.inf

    def __init__(self, on: Console) -> None:
        self.live = Live(console=on, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._drawn: object = None

    def show(self, view: CampaignView) -> None:
        """Draw a view, unless it looks like the one before. A slow terminal would flicker."""
        screen = screen_of(view)
        now = (self.live.console.size, self.live.console.render_lines(screen))
        if now != self._drawn:
            self._drawn = now
            self.live.update(screen, refresh=True)


class Lines:
    """A line every few seconds, and at once for an event, another activity, or the end."""

    every_s = 0.25
    patience_s = 600.0

    def __init__(self, line_every_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._line_every_s = line_every_s
        self._monotonic = monotonic
        self._next = monotonic()
        self._said: set[CampaignEvent] = set()
        self._before: object = None

    def show(self, view: CampaignView) -> None:
        """Print a line when it is time."""
        timezone = timezone_of(view.snapshot.campaign)
        for event in view.events:
            if event not in self._said:
                say(f"{event_time(event, timezone, view.at)} {event_text(event, timezone)}")
        self._said = set(view.events)
        now, state = self._monotonic(), (view.snapshot.activity, view.snapshot.is_stalled, view.is_lost)
        if now < self._next and state == self._before and not view.is_last:
            return
        changed, self._before = state != self._before, state
        self._next = now + self._line_every_s
        width = shutil.get_terminal_size().columns if sys.stderr.isatty() else _NO_WIDTH
        say(*_wrapped(_parts(view), width))
        if changed:
            say(*next_steps(view))


def _wrapped(parts: Iterable[str], width: int) -> Iterator[str]:
    """Join parts to lines of at most a width, if no part is longer. Further lines are indented."""
    line = ""
    for part in parts:
        joined = f"{line} · {part}" if line else part
        if line and len(joined) > width:
            yield line
            line = f"  {part}"
        else:
            line = joined
    yield line


def _parts(view: CampaignView) -> list[str]:
    campaign = view.snapshot.campaign
    parts = [f"{campaign.name}: {campaign.done:,} of {campaign.total:,}", numbers_text(campaign), activity_text(view)]
    if not view.is_lost:
        quota, finish = quota_text(view), finish_text(view)
        parts += [pace_text(view.snapshot), quota and f"quota: {quota}", finish and f"done {finish}"]
    return [part for part in parts if part]


def numbers_text(campaign: Campaign) -> str:
    """Return the counts of accepted, failed, deferred and unknown recipients."""
    counts = campaign.counts
    failed = sum(counts[state] for state in FAILED_STATES)
    parts = [(counts[State.ACCEPTED], "accepted"), (failed, "failed")]
    if_any = [State.DEFERRED, State.UNKNOWN, State.SUPPRESSED, State.CANCELLED]
    parts += [(counts[state], state.value) for state in if_any if counts[state]]
    return " · ".join(f"{number:,} {word}" for number, word in parts)


def screen_of(view: CampaignView) -> RenderableType:
    """Return a view as a drawing of at most the terminal's width."""
    campaign = view.snapshot.campaign
    blocks: list[RenderableType] = [_headline(view), _Bar(campaign.counts), Text(), _Legend(campaign.counts), Text()]
    facts = ((f"{label:<{_LABEL}}", Text(visible(text))) for label, text in _facts(view))
    blocks += [_rows(facts), Text()]
    timezone = timezone_of(campaign)
    if events := view.events[-_EVENTS:]:
        blocks += [
            _rows((event_time(one, timezone, view.at), Text(visible(event_text(one, timezone)))) for one in events),
            Text(),
        ]
    if steps := [Text(visible(step), "bold") for step in next_steps(view)]:
        blocks += [*steps, Text()]
    return Group(*blocks, Text("Ctrl-C stops watching. The campaign continues."))


def _headline(view: CampaignView) -> RenderableType:
    campaign = view.snapshot.campaign
    name = Text(visible(campaign.name), "bold")
    done = Text(f"{campaign.done:,} of {counted(campaign.total, 'recipient')}")
    return Group(
        _at_both_ends(name, Text(activity_text(view), "bold red" if view.is_lost else "bold")),
        _at_both_ends(done, Text(f"{int(100 * campaign.share_done)} %")),
    )


def _at_both_ends(left: Text, right: Text) -> Table:
    line = Table.grid(expand=True, padding=(0, 2, 0, 0), pad_edge=False)
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(no_wrap=True, justify="right")
    line.add_row(left, right)
    return line


def _facts(view: CampaignView) -> Iterator[tuple[str, str]]:
    snapshot = view.snapshot
    if not view.is_lost:
        yield "rate", pace_text(snapshot)
        if quota := quota_text(view):
            yield "quota", quota
        if view.workers is not None:
            yield "workers", f"{counted(view.workers, 'worker')} for campaigns"
    elapsed = elapsed_s(snapshot.campaign, view.at)
    if elapsed is not None:
        yield "elapsed", duration_text(elapsed)
    if not view.is_last:
        yield "finish", finish_text(view) or "not known now"


def _rows(rows: Iterator[tuple[str, Text]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(Text(label), text)
    return table


def _mark(state: State, *, ascii_only: bool) -> tuple[str, str]:
    drawn, plain, style = _LOOKS[state.outlook]
    return plain if ascii_only else drawn, style


class _Bar:
    """A bar with a part for each state. Each state with recipients gets at least one cell."""

    def __init__(self, counts: Mapping[State, int]) -> None:
        self._counts = {state: max(0, counts[state]) for state in _ORDER if counts[state] > 0}

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the bar over the whole width."""
        bar = Text(no_wrap=True)
        for state, cells in cells_of(self._counts, options.max_width).items():
            mark, style = _mark(state, ascii_only=options.ascii_only)
            bar.append(mark * cells, style)
        yield bar


class _Legend:
    """The count of each state, after the mark that the bar uses for it."""

    def __init__(self, counts: Mapping[State, int]) -> None:
        self._counts = {state: counts[state] for state in _ORDER if counts[state] or state is State.ACCEPTED}

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Write as many counts beside each other as fit."""
        cells = []
        for state, number in self._counts.items():
            mark, style = _mark(state, ascii_only=options.ascii_only)
            cells.append(Text.assemble((mark, style), f" {number:,} {state.value.replace('_', ' ')}"))
        yield Columns(cells, equal=True, padding=(0, 3, 0, 0))


def cells_of(counts: Mapping[State, int], width: int) -> dict[State, int]:
    """Return the cells of a bar for each state: in proportion, and at least one.

    Args:
        counts: the number of recipients in each state, all positive.
        width: the cells of the whole bar.
    """
    total = sum(counts.values())
    if not total or width < len(counts):
        return {}
    cells = {state: max(1, int(width * number / total)) for state, number in counts.items()}
    largest = max(counts, key=lambda state: counts[state])
    cells[largest] += width - sum(cells.values())
    return cells
