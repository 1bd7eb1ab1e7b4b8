"""The limiter's report of a quota: the refill, the load of others, and a plan that uses both."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.model import Options
from gatepost_operations.planning.limiter import quota_of
from gatepost_operations.planning.plan import plan
from gatepost_worker.limiter import Ceiling, LimiterSettings
from support.limiter_world import Bucket, SharedLimiter, Tenant, World, lognormal, nobody_else, simulate, uniform

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost_operations.planning.plan import Forecast
    from gatepost_worker.limiter import BucketState
    from support.limiter_world import Latency

LATENCIES: dict[str, Latency] = {
    "constant 115 ms": uniform(0.115, 0.115),
    "30-200 ms": uniform(0.03, 0.2),
    "30 ms": uniform(0.03, 0.03),
    "3 s": uniform(3, 3),
    "a long tail": lognormal(0.08, 1.5),
}


class Watched:
    """A tenant and a fleet, with a look at the limiter's report twice a second."""

    def __init__(self, client: redis.Redis, limit: int, refill: float, seed: int = 1) -> None:
        self.world = World(seed=seed)
        self.tenant = Tenant(world=self.world, bucket=Bucket(self.world, limit, refill))
        self.client = client
        self.others: list[float] = []
        self.world.after(0.5, self._look)
        self.limiter = SharedLimiter(self.world, client)

    def bucket(self) -> BucketState:
        state = self.limiter.limiter.describe(self.limiter.key)
        assert state is not None
        assert state.bucket is not None
        return state.bucket

    def send(
        self,
        *,
        until: float,
        rate: float | None = None,
        slots: int = 32,
        latency: Latency = LATENCIES["30-200 ms"],
        share: Callable[[float], float] = nobody_else,
        recipients: float = math.inf,
    ) -> None:
        """Run a campaign until a moment, or until it has the given number of recipients."""
        ceiling = Ceiling(f"at {rate}", rate) if rate else None
        pacing = SharedLimiter(self.world, self.client, ceiling=ceiling)
        served = self.tenant.counts["accepted"] + recipients
        simulate(self.tenant, pacing, seconds=until, share=share, slots=slots, latency=latency, recipients=served)

    def forecast(self, recipients: int) -> Forecast:
        """The plan of a campaign without a rate."""
        quota = quota_of(self.limiter.limiter, LimiterSettings(), self.limiter.key)
        return plan(recipients, Options(), quota, datetime.now(UTC)).forecasts[-1]

    def _look(self) -> None:
        state = self.limiter.limiter.describe(self.limiter.key)
        if state is not None and state.bucket is not None:
            self.others.append(state.bucket.foreign_rate / self.tenant.bucket.refill)
        self.world.after(0.5, self._look)


@pytest.mark.parametrize("latency", LATENCIES.values(), ids=LATENCIES)
@pytest.mark.parametrize(
    ("rate", "slots"),
    [(None, 32), (None, 8), (None, 2), (90, 32), (20, 8), (7, 2)],
    ids=["all", "eight calls", "two calls", "90/s", "20/s", "7/s"],
)
def test_alone_on_the_tenant_others_take_nothing(
    redis_client: redis.Redis, rate: float | None, slots: int, latency: Latency
) -> None:
    """Unused quota is no foreign traffic, whatever holds the fleet back."""
    watched = Watched(redis_client, 100, 100.0)

    watched.send(until=12, rate=rate, slots=slots, latency=latency)

    assert len(watched.others) >= 15
    assert max(watched.others) < 0.03


@pytest.mark.parametrize(("limit", "refill", "seconds"), [(25, 25.0, 30), (300, 5.0, 60), (50, 1.0, 120)])
@pytest.mark.parametrize("rate", [None, 20.0])
def test_alone_on_a_slow_tenant_others_take_nothing(
    redis_client: redis.Redis, limit: int, refill: float, seconds: float, rate: float | None
) -> None:
    """Likewise where few requests tell of the refill."""
    watched = Watched(redis_client, limit, refill)

    watched.send(until=seconds, rate=rate)

    assert max(watched.others) < 0.03


def test_a_rate_after_full_speed_makes_no_foreign_traffic(redis_client: redis.Redis) -> None:
    """The refill has been learned; then a campaign at 20 a second leaves the bucket full."""
    watched = Watched(redis_client, 100, 100.0)

    watched.send(until=12)
    watched.send(until=24, rate=20)

    assert max(watched.others) < 0.03
    assert watched.bucket().refill_rate == pytest.approx(100, rel=0.05)
    assert watched.bucket().available_rate == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_real_foreign_traffic_is_told(redis_client: redis.Redis, share: float) -> None:
    """After ten seconds without others they take a fifth, half or most of the refill."""
    watched = Watched(redis_client, 50, 50.0)

    watched.send(until=30, share=lambda now: 0.0 if now < 10 else share)

    assert watched.bucket().foreign_rate == pytest.approx(50 * share, rel=0.3, abs=2)
    assert watched.bucket().available_rate == pytest.approx(50 * (1 - share), rel=0.3, abs=2)


@pytest.mark.parametrize("rate", [None, 20.0, 7.0], ids=["full speed", "20/s", "7/s"])
@pytest.mark.parametrize("name", ["constant 115 ms", "a long tail"])
def test_a_plan_is_what_then_happens(redis_client: redis.Redis, name: str, rate: float | None) -> None:
    """After a campaign at full speed or at a rate, a plan for 400 recipients is within a tenth of their time."""
    watched = Watched(redis_client, 25, 25.0)
    watched.send(until=15, rate=rate, latency=LATENCIES[name])
    forecast = watched.forecast(400)
    began = watched.world.now
    watched.send(until=100, recipients=400, latency=LATENCIES[name])

    assert forecast.ends is not None
    planned = (forecast.ends - forecast.begins).total_seconds()
    assert planned == pytest.approx(watched.world.now - began, rel=0.1)
