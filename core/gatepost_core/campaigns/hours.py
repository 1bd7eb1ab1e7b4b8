"""A campaign's sending hours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Self

from gatepost_core.timezones import zone_named

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_HOURS: Final = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_END_OF_DAY: Final = (24, 0)


@dataclass(frozen=True, slots=True)
class SendingHours:
    """Daily hours in the recipients' timezone. They may span midnight.

    Attributes:
        opens: the first minute.
        closes: from this minute on, no message leaves. Midnight is the end of the day.
        timezone: an IANA name, such as Europe/Berlin.
    """

    opens: time
    closes: time
    timezone: str

    def __post_init__(self) -> None:
        if self.opens == self.closes:
            raise ValueError("hours: opening and closing are the same minute; leave the hours out to send at any time")
        if any(at.second or at.microsecond or at.tzinfo for at in (self.opens, self.closes)):
            raise ValueError("hours: give whole minutes, and the timezone by its name")
        _zone(self.timezone)

    @classmethod
    def parse(cls, hours: str, timezone: str) -> Self:
        """Read hours such as `09:00-18:00`.

        Raises:
            ValueError: the hours or the timezone are invalid. The message says why.
        """
        found = _HOURS.fullmatch(hours.strip())
        if found is None:
            raise ValueError("hours: write them as 09:00-18:00")
        first, last = (int(found[1]), int(found[2])), (int(found[3]), int(found[4]))
        try:
            return cls(time(*first), time() if last == _END_OF_DAY else time(*last), timezone.strip())
        except ValueError as failure:
            raise ValueError(str(failure) if "hours" in str(failure) else f"hours: {failure}") from None

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the form that `str` writes.

        Raises:
            ValueError: the text has another form.
        """
        hours, _, timezone = text.strip().partition(" ")
        return cls.parse(hours, timezone)

    def __str__(self) -> str:
        return f"{self.opens:%H:%M}-{self.closes:%H:%M} {self.timezone}"

    def is_open(self, now: datetime) -> bool:
        """Return whether messages may leave at this time."""
        local = now.astimezone(_zone(self.timezone)).time()
        if self.opens < self.closes:
            return self.opens <= local < self.closes
        return local >= self.opens or local < self.closes

    def next_opening(self, now: datetime) -> datetime:
        """Return the next time when messages may leave, in UTC: `now` during the hours."""
        return now.astimezone(UTC) if self.is_open(now) else self._next(self.opens, now)

    def closes_at(self, now: datetime) -> datetime:
        """Return the next closing time, in UTC."""
        return self._next(self.closes, now)

    def _next(self, at: time, now: datetime) -> datetime:
        zone = _zone(self.timezone)
        day = now.astimezone(zone).date()
        # A local time that the change to summer time skips is read with the offset before the change.
        moments = (datetime.combine(day + timedelta(days=ahead), at, zone).astimezone(UTC) for ahead in range(3))
        return next(moment for moment in moments if moment > now)


def _zone(name: str) -> ZoneInfo:
    try:
        return zone_named(name)
    except ValueError as problem:
        raise ValueError(f"hours: {problem}") from None
