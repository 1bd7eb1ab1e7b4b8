"""Moments and durations as people type and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gatepost.errors import InvalidCommand
from gatepost_operations.cli.time_input import read_moment
from gatepost_operations.formatting import day_text, duration_text, in_zone, rate_text, time_left_text

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "timezone", "expected"),
    [
        ("90m", None, NOW + timedelta(minutes=90)),
        ("+36h", None, NOW + timedelta(hours=36)),
        ("2d", None, NOW + timedelta(days=2)),
        ("1.5 h", None, NOW + timedelta(minutes=90)),
        ("2026-05-04T09:00+02:00", None, datetime(2026, 5, 4, 7, 0, tzinfo=UTC)),
        ("2026-05-04T09:00Z", "Europe/Berlin", NOW),
        ("2026-05-04 09:00", "Europe/Berlin", datetime(2026, 5, 4, 7, 0, tzinfo=UTC)),
        (None, None, None),
    ],
)
def test_a_moment_is_read(text: str | None, timezone: str | None, expected: datetime | None) -> None:
    """ISO 8601, or a time from now; without an offset the timezone says which."""
    assert read_moment(text, "deadline", now=NOW, timezone=timezone) == expected


@pytest.mark.parametrize(
    ("text", "timezone", "says"),
    [
        ("tomorrow", None, "is not a moment"),
        ("2026-05-04T09:00", None, "has no timezone"),
        ("2026-05-04T09:00", "Nowhere", "IANA"),
    ],
)
def test_a_moment_that_cannot_be_read_is_refused(text: str, timezone: str | None, says: str) -> None:
    """With a word on how to write it."""
    with pytest.raises(InvalidCommand, match=says):
        read_moment(text, "deadline", now=NOW, timezone=timezone)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (18_720, "5 h 12 min"),
        (9 * 86_400 + 4 * 3600, "9 d 4 h"),
    ],
)
def test_a_duration_is_written_in_two_units(seconds: float, text: str) -> None:
    """As precise as anybody needs."""
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0, "0.0/s"), (0.1, "0.1/s"), (1234.56, "1,234.6/s"), (50 / 3600, "50.0/h")]
)
def test_a_rate_is_written_a_second_or_an_hour(rate: float, text: str) -> None:
    """Fifty an hour is no 0.014 a second."""
    assert rate_text(rate) == text


def test_a_moment_is_shown_with_the_offset_of_this_machine() -> None:
    """The text names the same moment."""
    assert datetime.fromisoformat(in_zone(NOW)) == NOW


@pytest.mark.parametrize(
    ("moment", "timezone", "text"),
    [
        (NOW + timedelta(minutes=3), "Europe/Berlin", "today 11:03 CEST"),
        (NOW + timedelta(hours=14), "Europe/Berlin", "tomorrow 01:00 CEST"),
        (NOW + timedelta(hours=14), "UTC", "today 23:00 UTC"),
        (NOW - timedelta(hours=12), "UTC", "yesterday 21:00 UTC"),
        (NOW + timedelta(days=6), "UTC", "Sunday 09:00 UTC"),
        (NOW + timedelta(days=7), "UTC", "2026-05-11 09:00 UTC"),
        (NOW - timedelta(days=2), "UTC", "2026-05-02 09:00 UTC"),
        (NOW + timedelta(days=200), "Europe/Berlin", "2026-11-20 10:00 CET"),
    ],
)
def test_a_day_is_in_plain_words_with_its_zone(moment: datetime, timezone: str, text: str) -> None:
    """The day is that of the timezone, and a date where a weekday would be ambiguous."""
    assert day_text(moment, NOW, timezone) == text


def test_a_later_moment_has_the_time_until_then() -> None:
    """The operator need not compute it, and a forecast that has passed is not negative."""
    later = NOW + timedelta(minutes=3, seconds=19)

    assert time_left_text(later, NOW, "Europe/Berlin") == "today 11:03 CEST, in 3 min 19 s"
    assert time_left_text(NOW - timedelta(seconds=4), NOW, "UTC") == "today 08:59 UTC, in 0 s"
