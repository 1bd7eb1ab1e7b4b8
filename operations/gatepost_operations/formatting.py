"""Moments, durations, rates and counts as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from datetime import datetime

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_WEEK: Final = 7
_NEAR_DAYS: Final = {-1: "yesterday", 0: "today", 1: "tomorrow"}
# From here on, days and hours are more readable.
_LONG_HOURS: Final = 48


def counted(number: int, word: str, plural: str = "") -> str:
    """Return `1 row`, `1,200 rows`."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def in_zone(moment: datetime) -> str:
    """Return a moment for people: in this machine's zone, to the second, with its offset."""
    return moment.astimezone().replace(microsecond=0).isoformat(sep=" ")


def clock_text(moment: datetime, beside: datetime) -> str:
    """Return a moment in this machine's timezone, without what it shares with another: `14:32`, `Nov 29 14:32`, `2025-11-29`."""
    local, other = moment.astimezone(), beside.astimezone()
    if local.date() == other.date():
        return f"{local:%H:%M}"
    return f"{local:%b %d %H:%M}" if local.year == other.year else f"{local:%Y-%m-%d}"


def day_text(moment: datetime, now: datetime, timezone: str | None = None) -> str:
    """Return a moment near `now` in plain words: `today 16:40 CEST`, `Friday 09:00 CET`, `2027-03-28 03:30 CEST`.

    Args:
        moment: the moment.
        now: the current time.
        timezone: an IANA name [default: this machine's timezone].
    """
    local, today = (one.astimezone(ZoneInfo(timezone) if timezone else None) for one in (moment, now))
    days = (local.date() - today.date()).days
    if days in _NEAR_DAYS:
        day = _NEAR_DAYS[days]
    elif 0 < days < _WEEK:
        day = f"{local:%A}"
    else:
        day = f"{local:%Y-%m-%d}"
    return f"{day} {local:%H:%M %Z}"


def time_left_text(moment: datetime, now: datetime, timezone: str | None = None) -> str:
    """Return a later moment and the time until then: `today 16:40 CEST, in 3 min 19 s`."""
    return f"{day_text(moment, now, timezone)}, in {duration_text(max(0.0, (moment - now).total_seconds()))}"


def duration_text(seconds: float) -> str:
    """Return a duration for people: `8 s`, `3 min 20 s`, `5 h 12 min`, `9 d 4 h`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _LONG_HOURS * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return _two(whole, _DAY, "d", _HOUR, "h")


def _two(seconds: int, large: int, large_name: str, small: int, small_name: str) -> str:
    first, rest = divmod(seconds, large)
    second = rest // small
    return f"{first} {large_name} {second} {small_name}" if second else f"{first} {large_name}"


def limit_text(per_second: float) -> str:
    """Return a configured rate exactly: `20/s`, `0.0333/s`."""
    return f"{f'{per_second:,.5f}'.rstrip('0').rstrip('.')}/s"


def rate_text(per_second: float) -> str:
    """Return a rate for people: per second from 0.1 a second on, per hour below."""
    if per_second == 0 or per_second >= 0.1:  # noqa: PLR2004 - see the docstring
        return f"{per_second:,.1f}/s"
    return f"{per_second * _HOUR:,.1f}/h"


def share_text(number: int, total: int) -> str:
    """Return a share in percent, rounded towards the middle: neither 0.0 % for some nor 100.0 % for less than all."""
    if not total or number in {0, total}:
        return f"{number / total:.1%}" if total else ""
    return f"{min(max(round(1000 * number / total), 1), 999) / 1000:.1%}"
