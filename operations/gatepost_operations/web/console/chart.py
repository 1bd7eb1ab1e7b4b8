"""A chart of a campaign's rate, quota and finish time, as numbers for SVG. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatepost_operations.formatting import duration_text, rate_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from gatepost_operations.web.console.history import Sample

WIDTH: Final = 640
HEIGHT: Final = 120
_TOP: Final = 6
_STEPS: Final = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the chart.

    Attributes:
        name: what it shows, also its class in the style sheet.
        path: the SVG path; it is interrupted where nothing is known.
        top: the value at the top of its scale, in words.
        last: the newest value in words; empty if it is not known.
    """

    name: str
    path: str
    top: str
    last: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over the same time, each with its own scale from 0.

    Attributes:
        lines: the lines.
        first: the time at the left.
        last: the time at the right.
        summary: the chart in words, for screen readers.
    """

    lines: tuple[Line, ...]
    first: str
    last: str
    summary: str


def chart_of(samples: Sequence[Sample], zone: Callable[[datetime], datetime]) -> Chart | None:
    """Return the chart of a history; None with less than two samples.

    Args:
        samples: the samples, the oldest first.
        zone: converts a time to the zone of the campaign.
    """
    if len(samples) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    first, last = samples[0].at, samples[-1].at
    times = [(one.at - first).total_seconds() for one in samples]
    rates = [one.rate for one in samples]
    left = [None if one.rate is None else one.quota_left for one in samples]
    finishes = [
        None if one.finish_at is None else max(0.0, (one.finish_at - one.at).total_seconds()) for one in samples
    ]
    lines = [
        _line("rate", times, rates, rate_text),
        _line("quota", times, left, lambda value: f"{value:,.0f}"),
        _line("finish", times, finishes, duration_text),
    ]
    shown = tuple(line for line in lines if line is not None)
    parts = "; ".join(f"{line.name} {line.last or 'not known now'}, at most {line.top}" for line in shown)
    return Chart(shown, f"{zone(first):%H:%M:%S}", f"{zone(last):%H:%M:%S}", parts or "nothing is known yet")


def _line(
    name: str, times: Sequence[float], values: Sequence[float | None], text: Callable[[float], str]
) -> Line | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    top = _round_top(max(known))
    path = " ".join(_path(times, values, top))
    newest = values[-1]
    return Line(name, path, text(top), "" if newest is None else text(newest))


def _path(times: Sequence[float], values: Sequence[float | None], top: float) -> Iterator[str]:
    whole = max(times[-1], 1e-9)
    is_drawing = False
    for at, value in zip(times, values, strict=True):
        if value is None:
            is_drawing = False
            continue
        x, y = WIDTH * at / whole, _TOP + (HEIGHT - _TOP) * (1 - value / top)
        yield f"{'L' if is_drawing else 'M'}{x:.1f} {y:.1f}"
        is_drawing = True


def _round_top(highest: float) -> float:
    """Return a round number that is at least as high: 1, 1.2, 1.5, 2 … 10, 12 …."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in _STEPS if step * power >= highest)
