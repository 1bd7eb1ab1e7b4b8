"""Bars and charts as numbers for SVG. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.states import FAILED_STATES, Outlook, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_core.campaigns.model import Campaign

WIDTH: Final = 1000
_ORDER: Final = (
    Outlook.ACCEPTED,
    Outlook.REFUSED,
    Outlook.UNKNOWN,
    Outlook.NOT_WANTED,
    Outlook.CALLING,
    Outlook.WAITING,
)
# A part that can still be seen.
_NARROWEST: Final = 4.0


def by_outlook(campaign: Campaign) -> dict[Outlook, int]:
    """Return the number of recipients of each outlook, in the order of a bar."""
    return {one: sum(campaign.counts[state] for state in State if state.outlook is one) for one in _ORDER}


def bar_parts(campaign: Campaign) -> Iterator[tuple[str, float, float]]:
    """Give each part of a bar: its outlook, where it begins, and its width. Small parts are widened, so that they can be seen."""
    numbers = {one: number for one, number in by_outlook(campaign).items() if number > 0}
    whole = sum(numbers.values())
    widths = {one: max(_NARROWEST, WIDTH * number / whole) for one, number in numbers.items()}
    scale = WIDTH / sum(widths.values()) if widths else 0.0
    start = 0.0
    for one, width in widths.items():
        yield one.value, round(start, 1), round(width * scale, 1)
        start += width * scale


def bar_text(campaign: Campaign) -> str:
    """Return a bar in words, for screen readers: `accepted 120, waiting 880`."""
    parts = [f"{one.value.replace('_', ' ')} {number:,}" for one, number in by_outlook(campaign).items() if number]
    return ", ".join(parts) or "no recipients"


def failed(campaign: Campaign) -> int:
    """Return the number of recipients who count as failed."""
    return sum(campaign.counts[state] for state in FAILED_STATES)


def bar_width(number: int, total: int) -> float:
    """Return the width of the bar of one state."""
    return round(max(_NARROWEST, WIDTH * number / total), 1) if number and total else 0.0
