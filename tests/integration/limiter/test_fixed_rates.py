"""A configured rate, for a campaign or a tenant: kept over a minute, and hardly exceeded in any second."""

from __future__ import annotations

import heapq
import random
from typing import TYPE_CHECKING

import pytest

from gatepost_core.kinds import Lane
from gatepost_worker.limiter import Ceiling, LimiterKey, LimiterSettings, Permit, RedisLimiter
from support.keys import KEYS

if TYPE_CHECKING:
    import redis

EPOCH = 1_800_000_000
KEY = LimiterKey("tenant", "passwordless/start")
BLIND = LimiterSettings(fallback_rate=1000.0, cold_permits=100_000)
WARM_UP_S = 5


class Waiters:
    """Slots that ask for permits, send for a while, and ask again later than the limiter says."""

    def __init__(self, client: redis.Redis, settings: LimiterSettings, ceiling: Ceiling | None, late_s: float) -> None:
        self.now = 0.0
        self.ceiling, self.late_s = ceiling, late_s
        self.chance = random.Random(1)  # noqa: S311 - a repeatable world, no secret
        self.limiter = RedisLimiter(client, KEYS, settings, server_clock=lambda: int((EPOCH + self.now) * 1e6))

    def run(self, slots: int, until: float, *, start: float = 0.0) -> list[float]:
        """Return when permits were given."""
        given: list[float] = []
        awake = [(start + self.chance.uniform(0, 0.1), slot) for slot in range(slots)]
        heapq.heapify(awake)
        while awake[0][0] < until:
            self.now, slot = heapq.heappop(awake)
            answer = self.limiter.acquire(KEY, Lane.BULK, ceiling=self.ceiling)
            if isinstance(answer, Permit):
                given += [self.now] * answer.granted
                pause = self.chance.uniform(0.03, 0.2)
            else:
                pause = answer.seconds + self.chance.uniform(0, self.late_s)
            heapq.heappush(awake, (self.now + pause, slot))
        return given


def most_in_a_second(given: list[float]) -> int:
    """The largest number of permits within any second."""
    return max(sum(1 for other in given[at:] if other < first + 1) for at, first in enumerate(given))


@pytest.mark.parametrize("slots", [3, 24])
@pytest.mark.parametrize("rate", [0.5, 1.0, 3.0, 7.0, 20.0, 33.0])
@pytest.mark.parametrize("whose", ["campaign", "tenant"])
def test_a_fixed_rate_is_kept_though_waiters_oversleep(
    redis_client: redis.Redis, whose: str, rate: float, slots: int
) -> None:
    """Within two per cent over a minute, or 300 permits, and never more than one beyond it in a second."""
    slots = max(slots, int(rate / 2))
    if whose == "campaign":
        waiters = Waiters(redis_client, BLIND, Ceiling("campaign", rate), late_s=0.02)
    else:
        waiters = Waiters(redis_client, LimiterSettings(max_rate=rate, cold_permits=100_000), None, late_s=0.02)

    seconds = min(60, 300 / rate)
    given = waiters.run(slots, WARM_UP_S + seconds)

    counted = [moment for moment in given if moment >= WARM_UP_S]
    assert len(counted) == pytest.approx(seconds * rate, rel=0.02, abs=1)
    assert most_in_a_second(given) <= rate + 1


def test_a_pause_is_not_made_up_for(redis_client: redis.Redis) -> None:
    """After an hour without requests, the rate is exceeded by about one second's worth at most."""
    waiters = Waiters(redis_client, BLIND, Ceiling("campaign", 7.0), late_s=0.01)
    waiters.run(6, 10)
    given = waiters.run(6, 3630, start=3600)

    assert len(given) <= 30 * 7 + 9
    assert most_in_a_second(given) <= 8


def test_a_rate_that_was_raised_holds_at_once(redis_client: redis.Redis) -> None:
    """The gap of the old one would be hours."""
    slow = Waiters(redis_client, LimiterSettings(max_rate=0.0001, cold_permits=100_000), None, late_s=0.0)
    slow.run(1, 1)
    fast = Waiters(redis_client, LimiterSettings(max_rate=10.0, cold_permits=100_000), None, late_s=0.0)

    assert len(fast.run(3, 10)) == pytest.approx(100, abs=3)
