"""Points in time as callers give them.

A number is refused: it could mean seconds from now, or since 1970. The years 1970 to 2099 fit into Redis and into Python's calendar, in
every time zone and with every forecast.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

_FIRST_YEAR: Final = 1970
# Entries of the suppression list store 32-bit seconds, which end in 2106.
_LAST_YEAR: Final = 2099
TOO_FAR: Final = f"is too far away; give a time between the years {_FIRST_YEAR} and {_LAST_YEAR}"
"""The problem of a time outside these years."""
PAST: Final = "is in the past; give a later time"
"""The problem of a time that must be ahead."""
# Clocks of machines differ, and "now" takes a while to arrive.
_GRACE_S: Final = 60
_NUMBER: Final = re.compile(r"\s*[+-]?[\d._]+(e[+-]?\d+)?\s*", re.IGNORECASE)


def _no_number(given: object) -> object:
    number = isinstance(given, int | float) or (isinstance(given, str) and _NUMBER.fullmatch(given))
    if number:
        raise ValueError("must be a time with a time zone, not a number, whose unit and start are unknown")
    return given


def _from_now(given: object) -> object:
    if not isinstance(given, timedelta):
        return given
    if given <= timedelta(0):
        raise ValueError("must be later than now: give a positive timedelta")
    try:
        return datetime.now(UTC) + given
    except OverflowError:
        raise ValueError(TOO_FAR) from None


def require_near(moment: datetime) -> datetime:
    """Return the moment.

    Raises:
        ValueError: its year is before 1970 or after 2099.
    """
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(TOO_FAR)
    return moment


def is_past(moment: datetime, now: datetime) -> bool:
    """Return whether a time that must be ahead is more than a minute ago."""
    return moment.timestamp() < now.timestamp() - _GRACE_S


PointInTime = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(require_near)]
"""An aware datetime, or its text in ISO 8601."""
Deadline = Annotated[PointInTime, BeforeValidator(_from_now)]
"""A `PointInTime`, or a timedelta from now."""
