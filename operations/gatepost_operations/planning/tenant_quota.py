"""A tenant's quota as the limiter has learned it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One token bucket at Auth0.

    Attributes:
        limit: its size.
        level: requests left in it.
        reserve: the part of it that campaigns leave to logins and single sends.
        available_rate: requests a second that flow in and that nobody else takes.
        refill_rate: the most that has been seen flowing in.
        foreign_rate: what others seem to take.
    """

    limit: int
    level: float
    reserve: int
    available_rate: float
    refill_rate: float
    foreign_rate: float

    @property
    def burst(self) -> float:
        """How many recipients it holds above the reserve."""
        return max(0.0, self.level - self.reserve)

    @property
    def room(self) -> float:
        """How many it holds above the reserve when it is full."""
        return float(max(0, self.limit - self.reserve))

    @property
    def is_learnt(self) -> bool:
        """Whether its refill has been seen; one reading tells the level alone."""
        return self.refill_rate > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRate:
    """A running campaign that has a rate of its own.

    Attributes:
        campaign_id: its id.
        name: its name.
        rate: recipients a second, at most.
    """

    campaign_id: str
    name: str
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantQuota:
    """What is known of one endpoint of one tenant.

    Attributes:
        tenant: the tenant's name.
        endpoint: the endpoint's path.
        bucket: the tenant's own bucket; None while no answer has told of it.
        policy: the bucket of a policy for this client, where the tenant has one.
        blocked_for_s: seconds until a refusal (429) lets anybody try again.
        reading_age_s: how old the newest reading is; None when there was none.
        blind: whether answers carry no headers, so that the fallback rate holds.
        fallback_rate: requests a second while blind.
        max_rate: the rate that the settings never let be exceeded.
        issued: permits given since the limiter began.
        ignored_hint_s: the newest wait that Auth0 asked for and that is too long to be obeyed, in seconds; None if there was none.
        ignored_hint_age_s: seconds since that hint came.
        campaigns: the running campaigns that have a rate of their own.
    """

    tenant: str
    endpoint: str
    bucket: Bucket | None = None
    policy: Bucket | None = None
    blocked_for_s: float = 0.0
    reading_age_s: float | None = None
    blind: bool = False
    fallback_rate: float = 1.0
    max_rate: float | None = None
    issued: int = 0
    ignored_hint_s: float | None = None
    ignored_hint_age_s: float | None = None
    campaigns: tuple[CampaignRate, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values; rates are requests a second."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """The buckets that a request takes from."""
        return tuple(bucket for bucket in (self.bucket, self.policy) if bucket is not None)

    @property
    def is_known(self) -> bool:
        """Whether anything is known that tells how fast a campaign goes."""
        return bool(self.buckets) or self.blind

    @property
    def is_learnt(self) -> bool:
        """Whether the rate is known as well, not the level alone."""
        return self.blind or (bool(self.buckets) and all(bucket.is_learnt for bucket in self.buckets))

    @property
    def burst(self) -> float:
        """Recipients that may go at once, above the reserve."""
        return 0.0 if self.blind or not self.buckets else min(bucket.burst for bucket in self.buckets)

    @property
    def room(self) -> float:
        """The largest that the burst becomes while nothing is sent."""
        return 0.0 if self.blind or not self.buckets else min(bucket.room for bucket in self.buckets)

    @property
    def rate(self) -> float:
        """Recipients a second that go on flowing: what others leave."""
        if self.blind or not self.buckets:
            return self.fallback_rate if self.blind else 0.0
        return max(0.0, min(bucket.available_rate for bucket in self.buckets))

    @property
    def rate_for_another(self) -> float:
        """Recipients a second for one more campaign beside those that have a rate: the rest, and at least an equal share."""
        taken = sum(campaign.rate for campaign in self.campaigns)
        return max(self.rate - taken, self.rate / (1 + len(self.campaigns)))

    @property
    def left(self) -> float | None:
        """Requests left in the fuller sense of `Remaining`; None while unknown."""
        return min((bucket.level for bucket in self.buckets), default=None)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Bucket | CampaignRate):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
