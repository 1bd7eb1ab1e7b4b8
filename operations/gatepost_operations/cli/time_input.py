"""Moments and durations as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.points_in_time import PAST, TOO_FAR, is_past, require_near
from gatepost_core.timezones import zone_named

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_moment(
    text: str | None,
    field: str,
    *,
    now: datetime,
    timezone: str | None = None,
    zone_option: bool = True,
    durations: str = "from now",
    ahead: bool = False,
) -> datetime | None:
    """Read a moment: ISO 8601, or a time from now such as `90m`, `36h` or `2d`.

    Args:
        text: the text of the option; None gives None.
        field: the name of the option, for the error.
        now: the start of durations.
        timezone: an IANA name, used when the text has no offset.
        zone_option: whether the command has --timezone, for the error.
        durations: how the command reads a duration, for the error.
        ahead: refuse a time in the past.

    Raises:
        InvalidCommand: the text has neither form, or no timezone, or the moment must be ahead and is in the past.
    """
    if text is None:
        return None
    try:
        moment = _read(text.strip(), now)
        if moment is None:
            problem = f"is not a moment; write it as 2026-05-04T09:00+02:00, or as a time {durations}: 90m, 36h, 2d"
            raise InvalidCommand([FieldError(field, problem)])
        if moment.tzinfo is None and timezone is None:
            option = ", or give --timezone" if zone_option else ""
            raise InvalidCommand([FieldError(field, f"has no timezone; add one, as in 09:00+02:00{option}")])
        zoned = moment if timezone is None or moment.tzinfo else moment.replace(tzinfo=read_zone(timezone))
        near = _near(zoned.astimezone(UTC), field)
    except OverflowError:
        # The year is below 1 or above 9999, perhaps only in UTC.
        raise InvalidCommand([FieldError(field, TOO_FAR)]) from None
    if ahead and is_past(near, now):
        raise InvalidCommand([FieldError(field, PAST)])
    return near


def _read(text: str, now: datetime) -> datetime | None:
    if duration := _DURATION.fullmatch(text.removeprefix("+")):
        return now + timedelta(**{_UNITS[duration[2]]: float(duration[1])})
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def read_duration(text: str, field: str) -> timedelta:
    """Read a duration such as `90m`, `36h` or `7d`.

    Args:
        text: the text of the option.
        field: the name of the option, for the error.

    Raises:
        InvalidCommand: the text has another form, or the duration is too long.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise InvalidCommand([FieldError(field, "is not a duration; write it as 90m, 36h or 7d")])
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise InvalidCommand([FieldError(field, "is too long")]) from None


def read_past_moment(text: str | None, field: str, *, now: datetime) -> datetime | None:
    """Read a past moment: ISO 8601 with an offset, or a duration ago such as `90m`, `36h` or `2d`. Errors are those of `read_moment`."""
    if text is None:
        return None
    if not _DURATION.fullmatch(text.strip()):
        return read_moment(text, field, now=now, zone_option=False, durations="ago")
    ahead = read_moment(text, field, now=now)
    return None if ahead is None else _near(now - (ahead - now), field)


def read_period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Read `--since` and `--until`. Errors are those of `read_moment`."""
    now = datetime.now(UTC)
    return read_past_moment(since, "since", now=now), read_past_moment(until, "until", now=now)


def _near(moment: datetime, field: str) -> datetime:
    try:
        return require_near(moment)
    except ValueError as problem:
        raise InvalidCommand([FieldError(field, str(problem))]) from None


def read_zone(name: str) -> ZoneInfo:
    """Read `--timezone`.

    Raises:
        InvalidCommand: there is no such timezone.
    """
    try:
        return zone_named(name)
    except ValueError as problem:
        raise InvalidCommand([FieldError("timezone", str(problem))]) from None
