"""The limiter as a controller: the shipped script over a real Valkey, in a world of simulated time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gatepost_core.kinds import Lane
from support.limiter_world import Bucket, SharedLimiter, Tenant, World, sender, simulate, stepping, uniform
from support.usual_pacing import CeleryRateLimit, ExponentialBackoff

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost_worker.authentication.rate_limits import RateLimits
    from support.limiter_world import Pacing


@pytest.mark.parametrize(
    ("limit", "refill", "seconds"),
    [(25, 25.0, 30), (200, 25.0, 20), (100, 100.0, 9), (300, 100.0, 9), (300, 5.0, 90)],
)
def test_it_uses_what_others_leave_and_meets_no_429(
    redis_client: redis.Redis, limit: int, refill: float, seconds: float
) -> None:
    """Whatever the bucket's size against its refill, while foreign traffic steps from nothing to 70 % to 20 %."""
    world = World(seed=1)
    tenant = Tenant(world=world, bucket=Bucket(world, limit, refill))

    run = simulate(tenant, SharedLimiter(world, redis_client), seconds=seconds, share=stepping(seconds), slots=18)

    assert run.used > 0.95
    assert run.refused <= 0.005
    assert run.foreign_refused <= 0.02


@pytest.mark.parametrize("reset", [True, False])
def test_a_campaign_takes_as_long_as_the_bucket_needs(redis_client: redis.Redis, *, reset: bool) -> None:
    """300 through a bucket of 50 that gains one a second: 40 at once down to the reserve, then 260 seconds."""
    world = World()
    tenant = Tenant(world=world, bucket=Bucket(world, 50, 1.0), reset=reset)

    run = simulate(tenant, SharedLimiter(world, redis_client), seconds=400, recipients=300, slots=4)

    assert run.accepted == 300
    assert run.refused == 0
    assert run.seconds == pytest.approx(260, rel=0.03)


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_bucket_of_fifty_an_hour_is_used_to_its_last_refill(
    redis_client: redis.Redis, share: float, *, reset: bool
) -> None:
    """One request each 72 seconds beside the first burst, with and without others on the same bucket."""
    world = World(seed=2)
    tenant = Tenant(world=world, bucket=Bucket(world, 50, 1 / 72), reset=reset)

    run = simulate(tenant, SharedLimiter(world, redis_client), seconds=7200, share=lambda _: share, slots=4)

    assert run.used > 0.95
    assert run.refused == 0
    assert run.lowest > 3


def test_the_policy_of_the_client_is_the_tighter_bound(redis_client: redis.Redis) -> None:
    """Ten a second by Auth0-RateLimit, within a tenant that has a hundred."""
    world = World(seed=3)
    tenant = Tenant(world=world, bucket=Bucket(world, 100, 100.0), policy=Bucket(world, 10, 10.0))

    run = simulate(tenant, SharedLimiter(world, redis_client), seconds=30, share=lambda _: 0.3)

    assert run.refused == 0
    assert run.accepted == pytest.approx(10 * 30, rel=0.05)


def test_a_larger_plan_is_followed_and_a_smaller_one_too(redis_client: redis.Redis) -> None:
    """The limit goes from 25 to 100 and back while a campaign runs."""
    world = World(seed=3)
    bucket = Bucket(world, 25, 25.0)
    tenant = Tenant(world=world, bucket=bucket)
    accepted = []

    def change(limit: int) -> None:
        accepted.append(tenant.counts["accepted"])
        bucket.settle()
        bucket.limit, bucket.refill = limit, float(limit)

    world.after(6, lambda: change(100))
    world.after(12, lambda: change(25))
    simulate(tenant, SharedLimiter(world, redis_client), seconds=18)
    accepted.append(tenant.counts["accepted"])

    assert accepted[0] == pytest.approx(20 + 6 * 25, rel=0.15)
    assert accepted[1] - accepted[0] == pytest.approx(6 * 100, rel=0.1)
    assert accepted[2] - accepted[1] == pytest.approx(6 * 25, rel=0.3)
    assert tenant.counts["refused"] == 0


def test_others_who_take_everything_are_left_alone_and_their_end_is_noticed(redis_client: redis.Redis) -> None:
    """Foreign traffic takes the whole refill for 10 seconds, then stops."""
    world = World(seed=3)
    tenant = Tenant(world=world, bucket=Bucket(world, 25, 25.0))

    run = simulate(tenant, SharedLimiter(world, redis_client), seconds=30, share=lambda now: 1.0 if now < 10 else 0.0)

    assert run.used > 0.8
    assert run.refused < 0.01


def test_people_who_suddenly_need_the_whole_refill_hardly_meet_429s(redis_client: redis.Redis) -> None:
    """Foreign traffic jumps from half of the refill to all of it: in the next 20 s at most 0.5 % of theirs is refused because of us."""
    blamed = wanted = 0
    for seed in range(4):
        redis_client.flushall()
        world = World(seed=seed)
        tenant = Tenant(world=world, bucket=Bucket(world, 100, 100.0))
        world.after(20, tenant.foreign.clear)
        simulate(
            tenant,
            SharedLimiter(world, redis_client),
            seconds=40,
            share=lambda now: 0.5 if now < 20 else 1.0,
            latency=uniform(0.03, 0.2),
        )
        blamed += tenant.foreign["blamed"]
        wanted += tenant.foreign["accepted"] + tenant.foreign["refused"]

    assert wanted > 7000
    assert blamed / wanted <= 0.005


def test_the_reserve_follows_how_unevenly_others_come(redis_client: redis.Redis) -> None:
    """Alone, bulk keeps a fifth of the bucket; beside a steady half of the refill it keeps more, and takes all that is left."""
    reserves = []
    for share in (0.0, 0.5):
        redis_client.flushall()
        world = World(seed=4)
        tenant = Tenant(world=world, bucket=Bucket(world, 100, 100.0))
        pacing = SharedLimiter(world, redis_client)
        run = simulate(tenant, pacing, seconds=25, share=lambda _, share=share: share)  # type: ignore[misc]
        state = pacing.limiter.describe(pacing.key)
        assert state is not None
        assert state.bucket is not None
        reserves.append(state.bucket.reserve)
        # The tokens in the reserve at the end are not lost.
        assert run.accepted + state.bucket.level >= 0.98 * (100 + 25 * 100 - tenant.foreign["accepted"])

    assert reserves[0] <= 30
    assert reserves[1] >= reserves[0] + 15


@pytest.mark.parametrize("skew", [-300.0, 300.0])
def test_a_clock_that_is_wrong_by_minutes_changes_nothing(redis_client: redis.Redis, skew: float) -> None:
    """Reset is an epoch second by Auth0's clock; on a slow bucket it says when to send."""
    world = World()
    tenant = Tenant(world=world, bucket=Bucket(world, 50, 1 / 72), clock_skew=skew)

    run = simulate(tenant, SharedLimiter(world, redis_client), seconds=3600, slots=4)

    assert run.used > 0.95
    assert run.refused == 0


@pytest.mark.parametrize(
    "reset",
    [lambda at: at * 1000, lambda at: at + 10**8, lambda at: at - 10**8, lambda at: at % 60],
    ids=["milliseconds", "years ahead", "years ago", "relative"],
)
@pytest.mark.parametrize(("limit", "refill", "seconds"), [(100, 100.0, 12), (50, 1.0, 120)])
def test_an_absurd_reset_changes_nothing(
    redis_client: redis.Redis, limit: int, refill: float, seconds: float, reset: Callable[[float], float]
) -> None:
    """On every answer, refused or not: the level shows the refill all the same."""
    world = World(seed=3)

    def absurd(limits: RateLimits) -> RateLimits:
        return replace(limits, reset_epoch_s=reset(limits.reset_epoch_s or 0.0))

    tenant = Tenant(world=world, bucket=Bucket(world, limit, refill), distort=absurd)
    run = simulate(tenant, SharedLimiter(world, redis_client), seconds=seconds, slots=18)

    assert run.used > 0.95
    assert run.refused == 0


def test_without_headers_it_goes_at_the_fallback_rate(redis_client: redis.Redis) -> None:
    """A proxy removed the headers: one a second, no faster."""
    world = World()
    tenant = Tenant(world=world, bucket=Bucket(world, 25, 25.0), headers=False)

    run = simulate(tenant, SharedLimiter(world, redis_client), seconds=30)

    assert run.accepted == pytest.approx(30, abs=3)


def test_workers_that_are_killed_with_their_permits_leave_no_gap(redis_client: redis.Redis) -> None:
    """Half of the slots take a permit each and never send; the quota they held comes back by the next readings."""
    world = World(seed=4)
    tenant = Tenant(world=world, bucket=Bucket(world, 25, 25.0))
    pacing = SharedLimiter(world, redis_client)
    for slot in range(100, 112):
        world.after(5, partial(pacing.ask, slot))

    run = simulate(tenant, pacing, seconds=20)

    assert run.used > 0.95
    assert run.refused == 0


def test_a_restart_causes_no_burst(redis_client: redis.Redis) -> None:
    """All workers stop in the midst of a campaign, and new ones begin: the level is still known."""
    world = World(seed=5)
    tenant = Tenant(world=world, bucket=Bucket(world, 100, 10.0))
    simulate(tenant, SharedLimiter(world, redis_client), seconds=20)
    sent_before, lowest_before = tenant.counts["accepted"], tenant.lowest

    restarted = SharedLimiter(world, redis_client)
    for slot in range(24):
        world.start(sender(world, tenant, restarted, slot))
    world.run(21)

    assert tenant.counts["accepted"] - sent_before < 25
    assert tenant.counts["refused"] == 0
    assert lowest_before > 15


def test_a_lost_state_causes_no_429(redis_client: redis.Redis) -> None:
    """Redis loses everything during a campaign: two requests probe the quota, then it continues."""
    world = World(seed=6)
    tenant = Tenant(world=world, bucket=Bucket(world, 100, 100.0))
    world.after(5, redis_client.flushall)

    run = simulate(tenant, SharedLimiter(world, redis_client), seconds=10, share=lambda _: 0.5)

    assert run.used > 0.9
    assert run.refused == 0


def test_people_who_log_in_are_served_at_once_while_a_campaign_runs(redis_client: redis.Redis) -> None:
    """Five logins a second beside a campaign that wants all: they use the reserve and hardly ever wait."""
    world = World(seed=7)
    tenant = Tenant(world=world, bucket=Bucket(world, 25, 25.0))
    bulk, logins = SharedLimiter(world, redis_client), SharedLimiter(world, redis_client, lane=Lane.INTERACTIVE)
    waited: list[float] = []

    def login(slot: int) -> None:
        asked_at = world.now
        attempts = sender(world, tenant, logins, slot, more=lambda: slot not in logged_in)
        logged_in: set[int] = set()

        def one() -> None:
            pause = next(attempts)
            if slot in logins._tickets:
                waited.append(world.now - asked_at)
                logged_in.add(slot)
                world.start(attempts, pause)
            else:
                world.after(pause, one)

        one()

    for number in range(100):
        world.after(2 + number * 0.2, partial(login, 1000 + number))
    simulate(tenant, bulk, seconds=24)

    assert len(waited) == 100
    assert sorted(waited)[95] == 0
    assert tenant.counts["refused"] == 0
    assert tenant.counts["accepted"] > 0.95 * (20 + 25 * 24)


def test_foreign_traffic_is_told_apart_from_the_refill(redis_client: redis.Redis) -> None:
    """The state shows the learned refill, and the load of others."""
    world = World(seed=8)
    tenant = Tenant(world=world, bucket=Bucket(world, 100, 100.0))
    pacing = SharedLimiter(world, redis_client)

    simulate(tenant, pacing, seconds=20, share=lambda now: 0.0 if now < 10 else 0.5)
    state = pacing.limiter.describe(pacing.key)

    assert state is not None
    assert state.bucket is not None
    assert state.bucket.refill_rate == pytest.approx(100, rel=0.15)
    assert state.bucket.foreign_rate == pytest.approx(50, rel=0.3)
    assert 20 < state.bucket.reserve <= 80
    assert state.bucket.level == pytest.approx(state.bucket.reserve, abs=15)


@pytest.mark.parametrize("usual", [ExponentialBackoff, lambda world: CeleryRateLimit(world, 25.0)])
def test_the_usual_ways_meet_429s_in_this_world(usual: Callable[[World], Pacing]) -> None:
    """The world itself is no easy one: without the shared limiter the same run is full of refusals."""
    world = World(seed=1)
    tenant = Tenant(world=world, bucket=Bucket(world, 25, 25.0))

    run = simulate(tenant, usual(world), seconds=30, share=stepping(30))

    assert run.refused > 0.05
    assert run.foreign_refused > 0.05
