"""The quota of a tenant, as the limiter has learned it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One token bucket at Auth0.

    Attributes:
        limit: the bucket's size.
        level: requests left in it.
        reserve: the part of the size that campaigns leave to logins and single sends.
        available_rate: the refill minus the requests of other applications, in requests a second.
        refill_rate: the highest refill measured, in requests a second.
        foreign_rate: the estimated requests of other applications, in requests a second.
    """

    limit: int
    level: float
    reserve: int
    available_rate: float
    refill_rate: float
    foreign_rate: float

    @property
    def burst(self) -> float:
        """Requests above the reserve."""
        return max(0.0, self.level - self.reserve)

    @property
    def room(self) -> float:
        """Requests above the reserve in a full bucket."""
        return float(max(0, self.limit - self.reserve))

    @property
    def is_learned(self) -> bool:
        """Whether the refill has been measured. That takes two readings."""
        return self.refill_rate > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRate:
    """A running campaign with a maximum rate.

    Attributes:
        campaign_id: the campaign's id.
        name: the campaign's name.
        rate: the maximum rate, in recipients a second.
    """

    campaign_id: str
    name: str
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantQuota:
    """The learned quota of one endpoint of one tenant.

    Attributes:
        tenant: the tenant's name.
        endpoint: the endpoint's path.
        bucket: the tenant's bucket; None until an answer has described it.
        policy: the bucket of the tenant's policy for this client; None if there is none.
        blocked_for_s: seconds until the block after a 429 ends; 0 if there is none.
        reading_age_s: the age of the newest reading, in seconds; None if there was none.
        blind: whether answers have no quota headers, so that the limiter uses the fallback rate.
        fallback_rate: requests a second while blind.
        max_rate: the maximum rate in the settings, in requests a second.
        issued: permits granted since the limiter's state was created.
        ignored_hint_s: the newest `Retry-After` that was too long to obey, in seconds; None if there was none.
        ignored_hint_age_s: the age of that hint, in seconds.
        campaigns: the running campaigns with a maximum rate.
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
        return asdict(self, dict_factory=_rounded)

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """The buckets that limit a request."""
        return tuple(bucket for bucket in (self.bucket, self.policy) if bucket is not None)

    @property
    def is_known(self) -> bool:
        """Whether the speed of a campaign can be estimated."""
        return bool(self.buckets) or self.blind

    @property
    def is_learned(self) -> bool:
        """Whether the rate is known, and not only the level."""
        return self.blind or (bool(self.buckets) and all(bucket.is_learned for bucket in self.buckets))

    @property
    def burst(self) -> float:
        """Recipients that a campaign can send to at once."""
        return 0.0 if self.blind or not self.buckets else min(bucket.burst for bucket in self.buckets)

    @property
    def room(self) -> float:
        """The maximum to which the burst grows while nothing is sent."""
        return 0.0 if self.blind or not self.buckets else min(bucket.room for bucket in self.buckets)

    @property
    def rate(self) -> float:
        """Recipients a second after the burst."""
        if self.blind or not self.buckets:
            return self.fallback_rate if self.blind else 0.0
        return max(0.0, min(bucket.available_rate for bucket in self.buckets))

    @property
    def rate_for_another(self) -> float:
        """Recipients a second for one more campaign: the rest beside the campaigns with a rate, and at least an equal share."""
        taken = sum(campaign.rate for campaign in self.campaigns)
        return max(self.rate - taken, self.rate / (1 + len(self.campaigns)))

    @property
    def left(self) -> float | None:
        """Requests left in the emptiest bucket; None while unknown."""
        return min((bucket.level for bucket in self.buckets), default=None)


def _rounded(values: list[tuple[str, Any]]) -> dict[str, Any]:
    """Round rates, and replace infinity, which JSON does not have."""
    return {
        name: (round(value, 6) if math.isfinite(value) else None) if isinstance(value, float) else value
        for name, value in values
    }
