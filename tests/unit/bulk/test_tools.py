"""How often a process tops up a campaign's batches on the broker."""

from __future__ import annotations

from gatepost_worker.bulk.tools import FeedSchedule


def test_each_campaign_is_looked_at_twice_a_second() -> None:
    """At once for a new campaign, then every half second, whatever the others do."""
    now = [0.0]
    schedule = FeedSchedule(lambda: now[0])
    first, again, other = schedule.is_due("a"), schedule.is_due("a"), schedule.is_due("b")
    now[0] = 0.6
    later = schedule.is_due("a")
    schedule.forget("a")

    assert (first, again, other, later) == (True, False, True, True)
    assert schedule.is_due("a")
