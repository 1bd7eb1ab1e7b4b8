"""A lease keeps Redis's time without asking Redis, and without this machine's own date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from gatepost_worker.bulk.lease import Lease
from gatepost_worker.bulk.store import Claim

if TYPE_CHECKING:
    from gatepost_worker.bulk.store import BatchStore

BEGAN = datetime(2026, 5, 4, 8, 59, 30, tzinfo=UTC)


def test_the_time_is_redis_time_plus_the_monotonic_seconds_since() -> None:
    """The lease began at a time by Redis's clock; the monotonic clock adds the elapsed time."""
    ticks = iter([100.0, 100.0, 130.25])
    store = cast("BatchStore", None)
    waits: Any = {"seconds": 60, "patience_s": 10, "sleep": lambda _: None}
    lease = Lease(store, Claim("spring", 0, "token"), began=BEGAN, monotonic=lambda: next(ticks), **waits)

    assert (lease.now(), lease.now()) == (BEGAN, BEGAN + timedelta(seconds=30.25))
