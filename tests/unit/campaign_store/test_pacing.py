"""How many rows are begun at once, and how often the pace is reported."""

from __future__ import annotations

from gatepost_worker.pacing import MOST_AT_ONCE, Pacing


def test_rows_begun_together_take_about_a_tenth_of_a_second() -> None:
    """One while nothing is known, many when answers come at once, one again when they are slow."""
    pacing = Pacing(lambda: 0.0)
    first = pacing.rows_at_once("c")
    pacing.sent("c", 1, 0.001)
    fast = pacing.rows_at_once("c")
    for _ in range(20):
        pacing.sent("c", 1, 0.030)
    slower = pacing.rows_at_once("c")
    for _ in range(20):
        pacing.sent("c", 1, 0.5)

    assert (first, fast, slower, pacing.rows_at_once("c")) == (1, MOST_AT_ONCE, 3, 1)


def test_the_shortest_time_is_reported_once_a_second() -> None:
    """At once for a new campaign, then every second, with the shortest since the last report."""
    now = [0.0]
    pacing = Pacing(lambda: now[0])
    first = pacing.sent("c", 2, 0.02)
    now[0] = 0.5
    soon = pacing.sent("c", 1, 0.005)
    now[0] = 1.0
    later = pacing.sent("c", 1, 0.05)

    assert (first, soon, later) == (0.01, None, 0.005)


def test_campaigns_have_paces_of_their_own() -> None:
    """One slow tenant does not slow the others' campaigns."""
    pacing = Pacing(lambda: 0.0)
    pacing.sent("slow", 1, 1.0)
    pacing.sent("fast", 1, 0.001)

    assert (pacing.rows_at_once("slow"), pacing.rows_at_once("fast")) == (1, MOST_AT_ONCE)
    pacing.forget("fast")
    assert pacing.rows_at_once("fast") == 1
