"""Window and limiter together: the share of a quota that a campaign uses, in simulated time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from support.campaign_world import CampaignWorld, constant, even, tailed
from support.limiter_world import Bucket, Tenant, World, foreign_traffic, nobody_else

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

REFILL = 50.0
SETTLED_BY = 10.0
SECONDS = 26.0


def wave(now: float) -> float:
    return 0.5 - 0.3 * math.cos(2 * math.pi * now / 20)


@pytest.mark.parametrize(
    ("latency", "refused_share", "share"),
    [
        (even, 0.0, nobody_else),
        (tailed, 0.0, nobody_else),
        (constant, 0.2, nobody_else),
        (even, 0.0, wave),
    ],
    ids=["even", "tailed", "20 % refused", "others come and go"],
)
def test_a_campaign_uses_what_others_leave(
    redis_client: redis.Redis,
    latency: Callable[[World], float],
    refused_share: float,
    share: Callable[[float], float],
) -> None:
    """From the tenth second on at least 97 % of it, whatever answers take, without a 429."""
    world = World()
    tenant = Tenant(world=world, bucket=Bucket(world, 50, REFILL))
    campaigns = CampaignWorld(world, redis_client, tenant, latency=lambda: latency(world), refused_share=refused_share)
    campaigns.start("spring", 3000)
    world.start(foreign_traffic(world, tenant, share))

    world.run(SETTLED_BY)
    ours, theirs = tenant.counts["accepted"], tenant.foreign["accepted"]
    world.run(SECONDS)
    left = REFILL * (SECONDS - SETTLED_BY) - (tenant.foreign["accepted"] - theirs)

    assert tenant.counts["accepted"] - ours >= 0.97 * left
    assert tenant.counts["refused"] <= 1


@pytest.mark.parametrize("slots", [64, 8])
def test_a_second_campaign_soon_gets_its_share(redis_client: redis.Redis, slots: int) -> None:
    """At least 40 % of the permits from ten seconds after its start on, also where slots are scarce."""
    world = World()
    tenant = Tenant(world=world, bucket=Bucket(world, 50, REFILL))
    campaigns = CampaignWorld(world, redis_client, tenant, latency=lambda: 0.115, slots=slots)
    campaigns.start("first", 4000)
    world.run(10)
    campaigns.start("second", 2000)
    world.run(30)
    first, second = (sum(moment >= 20 for moment in campaigns.sent[name]) for name in ("first", "second"))

    assert second >= 0.4 * (first + second)
