"""Timezones by their IANA names."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from gatepost_core.errors import InvalidValue
from gatepost_core.nearest import did_you_mean


def zone_named(name: str) -> ZoneInfo:
    """Return the timezone with an IANA name.

    Raises:
        ValueError: there is none. The message gives the nearest name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(name, available_timezones()) or " Give an IANA name, such as Europe/Berlin."
        raise InvalidValue(f"there is no timezone {name!r}.{hint}") from None
