"""The table of `gatepost campaign list`. On a terminal, long names are cut so that no line wraps."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from gatepost_core.campaigns.model import SHORT_ID
from gatepost_core.safe_text import visible
from gatepost_core.states import FAILED_STATES, State
from gatepost_operations.cli.campaign.text import block_lines, sum_lines
from gatepost_operations.cli.wrapping import columns_of
from gatepost_operations.formatting import clock_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from gatepost_core.campaigns.model import Campaign

_GAP: Final = "  "
_SHORTEST_NAME: Final = 12
_NUMBERS: Final = frozenset({"recipients", "done", "failed", "unknown"})


def list_lines(campaigns: Sequence[Campaign], now: datetime, width: int | None) -> Iterator[str]:
    """Give a header, and a line for each campaign, with its problems beneath.

    Args:
        campaigns: the campaigns, in their order.
        now: the current time. Times of another year have the year.
        width: the columns of the terminal; None for no limit.
    """
    rows = [_cells(one, now) for one in campaigns]
    if not any(row["unknown"] for row in rows):
        for row in rows:
            del row["unknown"]
    titles = list(rows[0])
    widths = {title: max(columns_of(text) for text in (title, *(row[title] for row in rows))) for title in titles}
    if width is not None:
        room = _room(widths, width)
        if room < _SHORTEST_NAME:
            del widths["started"]
            titles.remove("started")
            room = _room(widths, width)
        widths["name"] = min(widths["name"], max(_SHORTEST_NAME, room))
    yield _GAP.join(_padded(title, title, widths[title]) for title in titles).rstrip()
    for one, row in zip(campaigns, rows, strict=True):
        yield _GAP.join(_padded(title, row[title], widths[title]) for title in titles).rstrip()
        yield from (f"  {line}" for line in chain(sum_lines(one), block_lines(one)))


def _room(widths: Mapping[str, int], width: int) -> int:
    """Return the columns that are left for the names."""
    return width - sum(columns for title, columns in widths.items() if title != "name") - len(_GAP) * (len(widths) - 1)


def _cells(campaign: Campaign, now: datetime) -> dict[str, str]:
    failed = sum(campaign.counts[state] for state in FAILED_STATES)
    started, ended = campaign.started_at, campaign.ended_at
    short_id = f" ({campaign.campaign_id[:SHORT_ID]})" if campaign.shares_name else ""
    return {
        "name": visible(campaign.name) + short_id,
        "status": campaign.status.value,
        "recipients": f"{campaign.total:,}",
        "done": f"{int(campaign.share_done * 100)} %" if campaign.total else "",
        "failed": f"{failed:,}" if failed else "",
        "unknown": f"{number:,}" if (number := campaign.counts[State.UNKNOWN]) else "",
        "started": clock_text(started, now) if started else "",
        "ended": clock_text(ended, started or now) if ended else "",
    }


def _padded(title: str, text: str, columns: int) -> str:
    if title in _NUMBERS:
        return text.rjust(columns)
    while columns_of(text) > columns:
        text = f"{text.removesuffix('…')[:-1]}…"
    return text + " " * (columns - columns_of(text))
