"""Redis's time is carried on without asking again, and without this machine's own date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gatepost_worker.bulk.redis_clock import RedisClock

READ = datetime(2026, 5, 4, 8, 59, 30, tzinfo=UTC)


def test_the_time_goes_on_from_what_redis_said() -> None:
    """By as much as the clock that only goes forward."""
    ticks = iter([100.0, 100.0, 130.25])
    clock = RedisClock(READ, lambda: next(ticks))

    assert (clock(), clock()) == (READ, READ + timedelta(seconds=30.25))
