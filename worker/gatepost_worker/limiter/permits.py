"""Asking for permits: the values that the limiter takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from gatepost_core.errors import Unavailable
from gatepost_worker.authentication.rate_limits import LONGEST_HINT_S

if TYPE_CHECKING:
    from gatepost_core.settings import Settings
    from gatepost_core.settings.tenants import Tenant


class LimiterUnavailable(Unavailable):
    """The limiter's Redis did not answer; nothing may be sent."""


class WaitReason(StrEnum):
    """Why no permit was given."""

    LEVEL = "level"
    """The bucket holds no more than its reserve, or nothing in the interactive lane."""
    BLOCKED = "blocked"
    """A 429 blocks the key until the server's hint."""
    COLD = "cold"
    """The quota is unknown or out of date, and the first few requests are still in progress."""
    BLIND = "blind"
    """Responses have no rate-limit headers, so permits come at the configured fallback rate."""
    CEILING = "ceiling"
    """The configured rate of the tenant or of the campaign is used up."""
    NEWER_FORM = "newer_form"
    """A newer version of Gatepost paces this key, in a form that this version does not know."""


@dataclass(frozen=True, slots=True)
class LimiterKey:
    """Names one quota: a tenant and one of its endpoints.

    Attributes:
        tenant: The tenant's name in the settings.
        endpoint: The endpoint's path, without the leading slash.
    """

    tenant: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission to send `granted` requests within about a second.

    Unused permits need no return: the next reading shows that the server did not count them.

    Attributes:
        granted: How many requests, from one to the number wanted.
        first_ticket: The first request's ticket; the tickets are consecutive.
    """

    granted: int
    first_ticket: int

    @property
    def tickets(self) -> range:
        """One ticket for each request, in sending order. The request's reading must name its ticket."""
        return range(self.first_ticket, self.first_ticket + self.granted)


@dataclass(frozen=True, slots=True)
class Wait:
    """No permit is available.

    Attributes:
        seconds: Ask again after this time. Each caller gets a different time.
        reason: Why.
    """

    seconds: float
    reason: WaitReason


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A maximum rate in addition to the quota, shared by all callers that name it.

    Attributes:
        name: The ceiling's name, such as a campaign's identifier.
        rate: Requests a second.
    """

    name: str
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterSettings:
    """The settings of pacing.

    Attributes:
        reserve_share: The share of the bucket that bulk leaves for logins and single sends.
        fallback_rate: Requests a second while no answer carries rate-limit headers.
        max_rate: The most requests a second to a tenant's endpoint, whatever its quota; None for no maximum.
        cold_permits: Requests sent to measure an unknown quota, or after a 429.
        longest_hint_s: The longest hint to obey, in seconds; a longer one is reported and ignored.
    """

    reserve_share: float = 0.2
    fallback_rate: float = 1.0
    max_rate: float | None = None
    cold_permits: int = 2
    longest_hint_s: float = LONGEST_HINT_S

    @classmethod
    def of(cls, settings: Settings, tenant: Tenant) -> Self:
        """Return the pacing of one tenant from the settings."""
        return cls(max_rate=tenant.max_rate, longest_hint_s=settings.longest_hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketState:
    """The limiter's estimate of one bucket.

    Attributes:
        limit: The bucket's size.
        level: Requests left once all requests in flight have arrived.
        reserve: The part of the size that bulk leaves: the configured share, or more while other traffic is uneven.
        available_rate: The refill minus other traffic, in requests a second.
        refill_rate: The highest refill measured, in requests a second.
        foreign_rate: Traffic other than Gatepost's, in requests a second.
    """

    limit: int
    level: float
    reserve: int
    available_rate: float
    refill_rate: float
    foreign_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterState:
    """The limiter's state for one key, for people.

    Attributes:
        bucket: The tenant's bucket (`X-RateLimit-*`); None while unknown.
        policy: The per-client policy's bucket (`Auth0-RateLimit`); None if there is none.
        issued: Permits granted since the state was created.
        blocked_for_s: Seconds until a 429's block ends; 0 if there is none.
        reading_age_s: Seconds since the last response with headers; None if there was none.
        blind: Whether permits come at the fallback rate because responses have no headers.
        ignored_hint_s: The newest hint that was too long to obey, in seconds; None if there was none.
        ignored_hint_age_s: The age of that hint, in seconds.
    """

    bucket: BucketState | None
    policy: BucketState | None
    issued: int
    blocked_for_s: float
    reading_age_s: float | None
    blind: bool
    ignored_hint_s: float | None = None
    ignored_hint_age_s: float | None = None
