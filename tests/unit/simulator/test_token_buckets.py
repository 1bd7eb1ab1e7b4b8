"""Token buckets: level, refill, and foreign traffic that competes for each token."""

from __future__ import annotations

import math

import pytest

from gatepost_simulator.buckets import Arrivals, Refill, TokenBucket


def bucket(size: int = 10, refill: float = 5, period_s: float = 1, mode: Refill = Refill.CONTINUOUS) -> TokenBucket:
    return TokenBucket(size, refill, period_s, now=1000.0, mode=mode)


def test_serves_its_size_at_once_and_then_its_refill() -> None:
    """A burst gets the size; afterwards tokens come at the rate of the refill."""
    tokens = bucket()
    burst = sum(tokens.take(1000.0) for _ in range(20))
    later = sum(tokens.take(1001.0) for _ in range(20))

    assert (burst, later) == (10, 5)


def test_never_holds_more_than_its_size() -> None:
    """A long pause fills the bucket and no more."""
    tokens = bucket()
    tokens.take(1000.0)
    tokens.settle(5000.0)

    assert tokens.remaining() == 10


def test_interval_refill_comes_at_the_end_of_the_period_only() -> None:
    """In interval mode nothing comes back before the period ends, and then the whole refill."""
    tokens = bucket(size=4, refill=4, period_s=60, mode=Refill.INTERVAL)
    for _ in range(4):
        tokens.take(1000.0)
    before, after = tokens.take(1059.0), tokens.take(1060.0)

    assert (before, after) == (False, True)
    assert tokens.remaining() == 3
    assert tokens.next_refill(1060.0) == 1120.0


def test_tells_when_the_next_token_comes_and_when_it_is_full() -> None:
    """The two readings of the reset time: the next token, or a full bucket."""
    tokens = bucket(size=10, refill=5)
    for _ in range(10):
        tokens.take(1000.0)

    assert tokens.next_refill(1000.0) == pytest.approx(1000.2)
    assert tokens.full_at(1000.0) == pytest.approx(1002.0)
    assert tokens.wait(1000.0) == pytest.approx(0.2)


def test_a_bucket_of_size_zero_refuses_for_ever() -> None:
    """A limit of 0 blocks, and says that waiting does not help."""
    tokens = bucket(size=0, refill=5)

    assert not tokens.take(2000.0)
    assert math.isinf(tokens.wait(2000.0))


def test_foreign_traffic_takes_its_rate() -> None:
    """Together below the refill, everybody is served."""
    tokens = bucket(size=20, refill=5)
    tokens.foreign.set_rate(3, 1000.0, Arrivals.EVEN)
    ours = sum(tokens.take(1000.0 + number) for number in range(100))

    assert ours == 100
    assert tokens.foreign.accepted == pytest.approx(297, abs=1)
    assert tokens.foreign.refused == 0


def test_foreign_traffic_counts_its_own_refusals() -> None:
    """Above the refill, each request is served or refused, so none is missing from the count."""
    tokens = bucket(size=10, refill=5)
    tokens.foreign.set_rate(50, 1000.0, Arrivals.EVEN)
    tokens.settle(1100.0)

    assert tokens.foreign.accepted == pytest.approx(510, abs=2)
    assert tokens.foreign.accepted + tokens.foreign.refused == pytest.approx(5000, abs=1)


def test_a_busy_neighbour_leaves_us_our_share() -> None:
    """When both ask for more than the refill, tokens go to the next request, so neither starves."""
    tokens = bucket(size=5, refill=10)
    tokens.foreign.set_rate(20, 1000.0)
    ours = sum(tokens.take(1000.0 + number / 20.3) for number in range(2000))

    assert 300 < ours < 800
    assert ours + tokens.foreign.accepted == pytest.approx(990, abs=5)


def test_poisson_arrivals_keep_the_rate() -> None:
    """Random spacing has the same mean."""
    tokens = bucket(size=1000, refill=1000)
    tokens.foreign.set_rate(100, 1000.0)
    tokens.settle(1100.0)

    assert tokens.foreign.accepted == pytest.approx(10_000, rel=0.05)


def test_a_long_skip_is_settled_as_a_flow() -> None:
    """A clock advanced by a day brings the day's traffic, without counting it one by one."""
    tokens = bucket(size=100, refill=100)
    tokens.foreign.set_rate(150, 1000.0)
    tokens.settle(1000.0 + 86_400)

    assert tokens.foreign.accepted + tokens.foreign.refused == pytest.approx(150 * 86_400, rel=0.001)
    assert tokens.foreign.accepted == pytest.approx(100 * 86_400, rel=0.01)


def test_rate_zero_stops_foreign_traffic() -> None:
    """After the rate went to zero nothing more is taken."""
    tokens = bucket()
    tokens.foreign.set_rate(5, 1000.0)
    tokens.settle(1002.0)
    tokens.foreign.set_rate(0, 1002.0)
    served = tokens.foreign.accepted
    tokens.settle(1100.0)

    assert tokens.foreign.accepted == served


def test_level_can_be_set() -> None:
    """A test may empty a bucket, but not overfill it."""
    tokens = bucket()
    tokens.set_level(0, 1000.0)
    empty = tokens.remaining()
    tokens.set_level(99, 1000.0)

    assert (empty, tokens.remaining()) == (0, 10)
