"""What follows an attempt: the schedule over a day, pauses, and the end of an endpoint."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gatepost_core.webhooks.deliveries import Attempt
from gatepost_core.webhooks.events import EventType
from gatepost_worker.webhooks.connection import Answer
from gatepost_worker.webhooks.policy import SCHEDULE, Delivered, Failed, decide

START = 1_767_225_600_000
DAY_MS = 86_400_000


def attempt(number: int = 1, *, after_ms: int = 0, failing_ms: int | None = None, failures: int = 0) -> Attempt:
    now = START + after_ms
    return Attempt(
        event_id="1-0",
        webhook_id="evt_a_1-0",
        event=EventType.TEST,
        at_ms=START,
        data={},
        number=number,
        first_ms=START,
        now_ms=now,
        sealed="",
        failing_since_ms=None if failing_ms is None else now - failing_ms,
        failures=failures,
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_success(status: int) -> None:
    """And nothing else is."""
    assert decide(attempt(), Answer(status), chance=0) == Delivered()


@pytest.mark.parametrize("status", [100, 301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
def test_any_other_answer_is_repeated(status: int) -> None:
    """A redirect too: it is not followed."""
    decided = decide(attempt(), Answer(status), chance=0)

    assert isinstance(decided, Failed)
    assert (decided.wait_ms, decided.disable) == (5000, None)


def test_attempts_follow_the_schedule_over_a_day() -> None:
    """0, 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h after the first, then no more."""
    at, times = 0.0, [0.0]
    for number in range(1, len(SCHEDULE) + 1):
        decided = decide(attempt(number, after_ms=int(at)), Answer(failure="connect_failed"), chance=0)
        assert isinstance(decided, Failed)
        if decided.wait_ms is None:
            break
        at += decided.wait_ms
        times.append(at)

    assert [timedelta(milliseconds=time) for time in times] == list(SCHEDULE)
    assert times[-1] == DAY_MS


def test_jitter_lengthens_a_wait_by_a_tenth_at_most() -> None:
    """So that the retries of many events do not come at once."""
    waits = [decide(attempt(2, after_ms=5000), Answer(500), chance=chance) for chance in (0.0, 0.5, 1.0)]

    assert [one.wait_ms for one in waits if isinstance(one, Failed)] == [295_000, 310_000, 325_000]


def test_a_late_attempt_keeps_a_distance_to_the_next() -> None:
    """After an outage of the workers, retries do not follow at once."""
    late = decide(attempt(4, after_ms=DAY_MS), Answer(500), chance=0)

    assert isinstance(late, Failed)
    assert late.wait_ms == 45 * 60_000


@pytest.mark.parametrize("status", [429, 502, 504])
def test_an_overloaded_endpoint_gets_a_pause(status: int) -> None:
    """A minute at least, for all events."""
    decided = decide(attempt(), Answer(status), chance=0)

    assert isinstance(decided, Failed)
    assert decided.pause_ms == 60_000


def test_retry_after_is_honoured_for_the_whole_endpoint() -> None:
    """For a day at most."""
    hour = decide(attempt(), Answer(503, retry_after_s=3600), chance=1)
    year = decide(attempt(), Answer(503, retry_after_s=31_536_000), chance=1)

    assert isinstance(hour, Failed)
    assert isinstance(year, Failed)
    assert (hour.pause_ms, year.pause_ms) == (3_600_000, DAY_MS)


def test_pauses_grow_with_failures_in_a_row() -> None:
    """Up to ten minutes, so that a dead endpoint costs little."""
    decided = [decide(attempt(failures=failures), Answer(500), chance=0) for failures in (0, 1, 2, 3, 4, 40)]

    assert [one.pause_ms for one in decided if isinstance(one, Failed)] == [0, 0, 10_000, 20_000, 40_000, 600_000]


def test_410_disables_the_endpoint_and_keeps_the_event() -> None:
    """The receiver said that it is gone."""
    decided = decide(attempt(10, after_ms=DAY_MS), Answer(410), chance=0)

    assert isinstance(decided, Failed)
    assert (decided.disable, decided.wait_ms) == ("gone", 0)


def test_an_endpoint_that_fails_for_a_day_is_disabled() -> None:
    """Not before, and not if an event succeeded meanwhile."""
    day = decide(attempt(3, failing_ms=DAY_MS), Answer(500), chance=0)
    shorter = decide(attempt(3, failing_ms=DAY_MS - 1), Answer(500), chance=0)

    assert isinstance(day, Failed)
    assert isinstance(shorter, Failed)
    assert (day.disable, shorter.disable) == ("failing", None)
