"""A campaign's sending hours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Self

from gatepost_core.timezones import zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_HOURS: Final = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_END_OF_DAY: Final = (24, 0)
_MIDNIGHT: Final = time()
_SAME_MINUTE: Final = (
    "hours: opening and closing are the same minute; to send at any time, write 00:00-24:00 or leave the hours out"
)
# A change of the clock can skip the hours of one day, and in a few zones it skipped a whole day.
_DAYS_AHEAD: Final = 4


@dataclass(frozen=True, slots=True)
class SendingHours:
    """Daily hours in the recipients' timezone. They may span midnight, and `00:00-24:00` is always open.

    The clock on the wall decides. Hours that the change to summer time skips do not open on that day, and hours that the change back
    repeats are open twice.

    Attributes:
        opens: the first minute.
        closes: from this minute on, no message leaves. Midnight is the end of the day.
        timezone: an IANA name, such as Europe/Berlin.
    """

    opens: time
    closes: time
    timezone: str

    def __post_init__(self) -> None:
        if self.opens == self.closes != _MIDNIGHT:
            raise ValueError(_SAME_MINUTE)
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
        if first == last:
            raise ValueError(_SAME_MINUTE)
        try:
            opens, closes = time(*first), _MIDNIGHT if last == _END_OF_DAY else time(*last)
        except ValueError:
            raise ValueError(
                "hours: a time does not exist; write times from 00:00 to 23:59, and the end of the day as 24:00"
            ) from None
        return cls(opens, closes, timezone.strip())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the form that `str` writes.

        Raises:
            ValueError: the text has another form.
        """
        hours, _, timezone = text.strip().partition(" ")
        return cls.parse(hours, timezone)

    def __str__(self) -> str:
        closes = "24:00" if self.closes == _MIDNIGHT else f"{self.closes:%H:%M}"
        return f"{self.opens:%H:%M}-{closes} {self.timezone}"

    def is_open(self, now: datetime) -> bool:
        """Return whether messages may leave at this time."""
        local = now.astimezone(_zone(self.timezone)).time()
        if self.opens < self.closes:
            return self.opens <= local < self.closes
        return local >= self.opens or local < self.closes

    def next_opening(self, now: datetime) -> datetime:
        """Return the next time when messages may leave, in UTC: `now` during the hours.

        Raises:
            ValueError: `now` is at an end of the calendar.
        """
        try:
            if self.is_open(now):
                return now.astimezone(UTC)
            return next(moment for moment in self._changes_after(now) if self.is_open(moment))
        except OverflowError:
            raise ValueError("hours: the time is too far away") from None

    def closes_at(self, now: datetime) -> datetime | None:
        """Return the end of the hours that are open, in UTC, or of the next ones if none are; None if they are always open.

        Raises:
            ValueError: `now` is at an end of the calendar.
        """
        if self.opens == self.closes:
            return None
        try:
            opening = self.next_opening(now)
            return next(moment for moment in self._changes_after(opening) if not self.is_open(moment))
        except OverflowError:
            raise ValueError("hours: the time is too far away") from None

    def _changes_after(self, now: datetime) -> Iterator[datetime]:
        """Yield every moment after `now` at which the hours may open or close, in order."""
        zone = _zone(self.timezone)
        today = now.astimezone(zone).date()
        # The clock may go back across midnight.
        for ahead in range(-1, _DAYS_AHEAD + 1):
            day = today + timedelta(days=ahead)
            moments = {moment for at in (self.opens, self.closes) for moment in _moments(day, at, zone)}
            yield from (moment for moment in sorted(moments) if moment > now)


def _moments(day: date, at: time, zone: ZoneInfo) -> list[datetime]:
    """Return when a clock on the wall shows a time, in UTC, and the change of the clock that skips or repeats it."""
    local = datetime.combine(day, at, zone)
    first, second = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    if first == second:
        return [first]
    if first > second:
        return [_change_between(second, first, zone)]
    return [first, _change_between(first, second, zone), second]


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second with the offset of `after`."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def _zone(name: str) -> ZoneInfo:
    try:
        return zone_named(name)
    except ValueError as problem:
        raise ValueError(f"hours: {problem}") from None
