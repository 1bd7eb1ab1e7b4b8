"""The hours of the day: when they are open, when they open next, across midnight and changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.campaigns.hours import SendingHours

OFFICE = SendingHours.parse("09:00-18:00", "Europe/Berlin")
NIGHT = SendingHours.parse("22:00-06:00", "UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-07-01T06:59:59+00:00", False),
        ("2026-07-01T07:00:00+00:00", True),
        ("2026-07-01T15:59:59+00:00", True),
        ("2026-07-01T16:00:00+00:00", False),
        ("2026-01-01T07:30:00+00:00", False),
        ("2026-01-01T08:00:00+00:00", True),
    ],
)
def test_the_hours_are_the_recipients(now: str, is_open: bool) -> None:  # noqa: FBT001 - a table
    """Nine o'clock is nine in Berlin, in summer and in winter."""
    assert OFFICE.is_open(at(now)) is is_open


def test_the_next_opening_is_now_while_open() -> None:
    """Otherwise it is the next morning."""
    morning, evening = at("2026-07-01T10:00:00+02:00"), at("2026-07-01T20:00:00+02:00")

    assert OFFICE.next_opening(morning) == morning
    assert OFFICE.next_opening(evening) == at("2026-07-02T09:00:00+02:00")
    assert OFFICE.closes_at(morning) == at("2026-07-01T18:00:00+02:00")


def test_hours_may_span_midnight() -> None:
    """From ten in the evening to six in the morning."""
    assert NIGHT.is_open(at("2026-07-01T23:00:00+00:00"))
    assert NIGHT.is_open(at("2026-07-02T05:59:00+00:00"))
    assert not NIGHT.is_open(at("2026-07-02T06:00:00+00:00"))
    assert NIGHT.closes_at(at("2026-07-01T23:00:00+00:00")) == at("2026-07-02T06:00:00+00:00")
    assert SendingHours.parse("18:00-24:00", "UTC").closes == time()


def test_an_opening_that_the_change_to_summer_time_leaves_out_is_found() -> None:
    """Half past two does not exist on that night; the hours open all the same, once."""
    hours = SendingHours.parse("02:30-05:00", "Europe/Berlin")
    opening = hours.next_opening(at("2026-03-29T00:00:00+00:00"))

    assert at("2026-03-29T00:30:00+00:00") <= opening <= at("2026-03-29T01:30:00+00:00")


@pytest.mark.parametrize(
    ("hours", "zone", "problem"),
    [
        ("9-18", "UTC", "09:00-18:00"),
        ("09:00-25:00", "UTC", "hour"),
        ("09:00-09:00", "UTC", "same minute"),
        ("09:00-18:00", "Middle/Earth", "IANA"),
        ("09:00-18:00", "", "IANA"),
    ],
)
def test_what_is_no_hours_is_refused_with_the_way_out(hours: str, zone: str, problem: str) -> None:
    """The message says how to write them."""
    with pytest.raises(ValueError, match=problem):
        SendingHours.parse(hours, zone)


def test_hours_have_whole_minutes() -> None:
    """A second would be lost when the hours are written down."""
    with pytest.raises(ValueError, match="whole minutes"):
        SendingHours(time(9, 0, 1), time(18), "UTC")


@given(
    opens=st.integers(0, 1439),
    length=st.integers(1, 1439),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
)
def test_the_next_opening_is_soon_and_the_text_comes_back(opens: int, length: int, zone: str, now: datetime) -> None:
    """Whatever the hours and the day: the next opening is at most about a day away, and `str` can be read again."""
    minutes = (opens, (opens + length) % 1440)
    first, last = (time(*divmod(minute, 60)) for minute in minutes)
    hours = SendingHours(first, last, zone)
    opening = hours.next_opening(now)

    assert now <= opening <= now + timedelta(hours=49)
    assert hours.closes_at(now) > now
    assert SendingHours.from_text(str(hours)) == hours
