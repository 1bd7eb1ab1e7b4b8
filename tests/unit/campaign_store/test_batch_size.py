"""How many rows are begun at once, and how often a process looks at a campaign's window."""

from __future__ import annotations

from gatepost_worker.bulk.batch_size import MOST_AT_ONCE, FeedSchedule, rows_at_once


def test_rows_begun_together_take_about_a_tenth_of_a_second() -> None:
    """More each time while answers come at once, as many as before in between, one when they are slow."""
    fast = [1]
    for _ in range(5):
        fast.append(rows_at_once(fast[-1], 0.001 * fast[-1]))

    assert fast == [1, 2, 4, 8, MOST_AT_ONCE, MOST_AT_ONCE]
    assert rows_at_once(4, 0.08) == 4
    assert rows_at_once(MOST_AT_ONCE, 0.3) == 1


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
