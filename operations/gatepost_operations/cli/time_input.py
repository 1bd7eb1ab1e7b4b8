"""Moments and durations as people type and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gatepost_core.errors import FieldError, InvalidCommand

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
# From here on the next smaller unit tells nothing.
_LONG_HOURS: Final = 48


def moment_of(text: str | None, field: str, *, now: datetime, timezone: str | None = None) -> datetime | None:
    """Read a moment: ISO 8601, or a time from now such as `90m`, `36h` or `2d`.

    Args:
        text: what was typed; None stays None.
        field: what the error calls it.
        now: the moment that durations count from.
        timezone: an IANA name for a moment without an offset.

    Raises:
        InvalidCommand: it is neither, or it has no timezone.
    """
    if text is None:
        return None
    try:
        return _read(text.strip(), field, now, timezone)
    except OverflowError:
        # A year before 1 or after 9999, perhaps only in UTC.
        raise InvalidCommand([FieldError(field, "is too far away")]) from None


def _read(text: str, field: str, now: datetime, timezone: str | None) -> datetime:
    if duration := _DURATION.fullmatch(text.removeprefix("+")):
        return now + timedelta(**{_UNITS[duration[2]]: float(duration[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        problem = "is not a moment; write it as 2026-05-04T09:00+02:00, or as a time from now: 90m, 36h, 2d"
        raise InvalidCommand([FieldError(field, problem)]) from None
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if timezone is None:
        raise InvalidCommand([FieldError(field, "has no timezone; add one, as in 09:00+02:00, or give --timezone")])
    return moment.replace(tzinfo=_zone(timezone)).astimezone(UTC)


def past_moment_of(text: str | None, field: str, *, now: datetime) -> datetime | None:
    """Read a moment that has passed: ISO 8601 with an offset, or a time ago such as `90m`, `36h` or `2d`. Errors are those of `moment_of`."""
    if text is None:
        return None
    if _DURATION.fullmatch(text.strip()):
        ahead = moment_of(text, field, now=now)
        try:
            return None if ahead is None else now - (ahead - now)
        except OverflowError:
            raise InvalidCommand([FieldError(field, "is too far away")]) from None
    return moment_of(text, field, now=now)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidCommand(
            [FieldError("timezone", "is not known; give an IANA name, such as Europe/Berlin")]
        ) from None


def in_zone(moment: datetime, timezone: str | None = None) -> str:
    """Return a moment for people: in the given zone, else in this machine's, to the second, with its offset."""
    local = moment.astimezone(ZoneInfo(timezone)) if timezone else moment.astimezone()
    return local.replace(microsecond=0).isoformat(sep=" ")


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


def rate_text(per_second: float) -> str:
    """Return a rate for people: a second where that is at least one in ten seconds, otherwise an hour."""
    if per_second == 0 or per_second >= 0.1:  # noqa: PLR2004 - said in the docstring
        return f"{per_second:,.1f}/s"
    return f"{per_second * _HOUR:,.1f}/h"
