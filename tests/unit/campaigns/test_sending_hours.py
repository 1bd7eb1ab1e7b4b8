"""The hours of the day: when they are open, when they open next, across midnight and changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost_core.campaigns.hours import SendingHours
from support.examples import examples

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


@pytest.mark.parametrize(
    ("hours", "now", "opens", "closes"),
    [
        # The clock goes from 02:00 to 03:00 at 01:00 UTC on 2027-03-28, and from 03:00 to 02:00 at 01:00 UTC on 2027-10-31.
        ("02:30-03:00", "2027-03-28T00:00Z", "2027-03-29T02:30+02:00", "2027-03-29T03:00+02:00"),
        ("02:30-05:00", "2027-03-28T00:00Z", "2027-03-28T03:00+02:00", "2027-03-28T05:00+02:00"),
        ("01:00-02:30", "2027-03-28T00:00Z", "2027-03-28T00:00Z", "2027-03-28T01:00Z"),
        ("02:15-02:45", "2027-10-31T00:00Z", "2027-10-31T00:15Z", "2027-10-31T00:45Z"),
        ("02:15-02:45", "2027-10-31T00:50Z", "2027-10-31T01:15Z", "2027-10-31T01:45Z"),
        ("01:30-02:30", "2027-10-31T00:30Z", "2027-10-31T01:00Z", "2027-10-31T01:30Z"),
        ("02:30-04:00", "2027-10-31T00:00Z", "2027-10-31T00:30Z", "2027-10-31T01:00Z"),
        ("02:00-03:00", "2027-10-31T00:00Z", "2027-10-31T00:00Z", "2027-10-31T02:00Z"),
    ],
)
def test_the_clock_on_the_wall_decides_when_it_changes(hours: str, now: str, opens: str, closes: str) -> None:
    """Skipped hours open on the next day or at the change, and repeated hours open twice or stay open."""
    berlin = SendingHours.parse(hours, "Europe/Berlin")

    assert berlin.next_opening(at(now)) == at(opens)
    assert berlin.closes_at(at(now)) == at(closes)


def test_hours_from_midnight_to_midnight_are_always_open() -> None:
    """`00:00-24:00` opens now, never closes, and is read from its own text."""
    always = SendingHours.parse("00:00-24:00", "Europe/Berlin")
    night = at("2027-03-28T02:59:59+02:00")

    assert (always.next_opening(night), always.closes_at(night)) == (night, None)
    assert SendingHours.from_text(str(always)) == always
    assert str(always) == "00:00-24:00 Europe/Berlin"


def test_a_time_at_the_end_of_the_calendar_is_refused_with_a_sentence() -> None:
    """Python's calendar ends in 9999, so there is no next day to open on."""
    with pytest.raises(ValueError, match="too far away"):
        OFFICE.next_opening(at("9999-12-31T23:00:00+00:00"))
    with pytest.raises(ValueError, match="too far away"):
        OFFICE.closes_at(at("9999-12-31T23:00:00+00:00"))


@pytest.mark.parametrize(
    ("hours", "zone", "problem"),
    [
        ("9-18", "UTC", "09:00-18:00"),
        ("09:00-25:00", "UTC", "24:00"),
        ("24:00-09:00", "UTC", "23:59"),
        ("00:00-00:00", "UTC", "00:00-24:00"),
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


def changes_of_clocks() -> dict[str, list[datetime]]:
    """Return each zone whose clock changes in 2027, with the hours in UTC that begin or end with a change."""
    first = datetime(2027, 1, 1, tzinfo=UTC)
    hours = [first + timedelta(hours=number) for number in range(365 * 24)]
    found = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        offsets = [hour.astimezone(zone).utcoffset() for hour in hours[::24]]
        if len(set(offsets)) == 1:
            continue
        days = [day for day, (one, next_one) in enumerate(pairwise(offsets)) if one != next_one]
        found[name] = [first + timedelta(days=day) for day in days]
    return found


CHANGES = changes_of_clocks()


def test_every_zone_with_a_change_of_the_clock_is_known() -> None:
    """Among them Lord Howe Island, whose clock moves by half an hour, and Troll, whose clock moves by two."""
    assert {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll"} <= set(CHANGES)


def minutes_that_are_open(hours: SendingHours, start: datetime, minutes: int) -> list[bool]:
    """Return for each minute whether a clock on the wall is within the hours. Changes of clocks come at whole minutes."""
    zone = ZoneInfo(hours.timezone)
    length = (hours.closes.hour * 60 + hours.closes.minute - hours.opens.hour * 60 - hours.opens.minute) % 1440 or 1440
    first = hours.opens.hour * 60 + hours.opens.minute
    walls = ((start + timedelta(minutes=number)).astimezone(zone) for number in range(minutes))
    return [(wall.hour * 60 + wall.minute - first) % 1440 < length for wall in walls]


@st.composite
def times_near_a_change(draw: st.DrawFn) -> tuple[str, datetime]:
    """Give a zone, and a whole minute within two days of a change of its clock."""
    name = draw(st.sampled_from(sorted(CHANGES)))
    return name, draw(st.sampled_from(CHANGES[name])) + timedelta(minutes=draw(st.integers(-1440, 2880)))


@settings(deadline=None, max_examples=examples(600))
@given(opens=st.integers(0, 1439), length=st.integers(1, 1440), where=times_near_a_change())
def test_an_opening_lies_inside_its_hours_around_every_change_of_a_clock(
    opens: int, length: int, where: tuple[str, datetime]
) -> None:
    """Minute by minute, the hours open first when the clock on the wall is within them, and close first when it is not."""
    zone, now = where
    if length == 1440:
        opens = 0
    first, last = (time(*divmod(minute, 60)) for minute in (opens, (opens + length) % 1440))
    hours = SendingHours(first, last, zone)
    is_open = minutes_that_are_open(hours, now, 4 * 1440)
    opening = is_open.index(True)
    closing = is_open.index(False, opening) if False in is_open[opening:] else None

    assert hours.next_opening(now) == now + timedelta(minutes=opening)
    assert hours.closes_at(now) == (None if closing is None else now + timedelta(minutes=closing))


@pytest.mark.parametrize("zone", sorted(CHANGES))
def test_the_openings_of_a_year_follow_each_other_inside_their_hours(zone: str) -> None:
    """Half past two to three is skipped by many changes; no opening of the year lies outside, and none repeats."""
    hours = SendingHours.parse("02:30-03:00", zone)
    now = datetime(2027, 1, 1, 12, tzinfo=UTC)
    openings = []
    while now < datetime(2028, 1, 1, tzinfo=UTC):
        openings.append(hours.next_opening(now))
        closing = hours.closes_at(now)
        assert closing is not None
        now = closing
    walls = [opening.astimezone(ZoneInfo(zone)).time() for opening in openings]

    assert openings == sorted(set(openings))
    assert all(time(2, 30) <= wall < time(3) for wall in walls)
    assert 363 <= len(openings) <= 367


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
    assert (hours.closes_at(now) or opening) >= opening
    assert SendingHours.from_text(str(hours)) == hours
