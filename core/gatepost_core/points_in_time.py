"""Points in time as callers give them. A number is refused: it could mean seconds from now, or since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator

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
        raise ValueError("must be before the year 10000") from None


PointInTime = Annotated[AwareDatetime, BeforeValidator(_no_number)]
"""An aware datetime, or its text in ISO 8601."""
Deadline = Annotated[PointInTime, BeforeValidator(_from_now)]
"""A `PointInTime`, or a timedelta from now."""
