"""The limiter's terms: what is asked, what is answered, and the protocol between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

from gatepost_core.errors import Unavailable
from gatepost_worker.authentication.rate_limits import LONGEST_HINT_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_core.settings import Settings
    from gatepost_core.settings.tenants import Tenant
    from gatepost_worker.limiter.readings import Reading


class LimiterUnavailable(Unavailable):
    """The limiter's Redis did not answer; nothing may be sent."""


class Lane(StrEnum):
    """Who asks. The lane decides whether the reserve may be used."""

    INTERACTIVE = "interactive"
    """A login or a single send: a person waits. May use the reserve."""
    BULK = "bulk"
    """A campaign. Leaves the reserve alone."""


class WaitReason(StrEnum):
    """Why no permit was given."""

    LEVEL = "level"
    """The bucket holds no more than its reserve (or nothing at all, for the interactive lane)."""
    BLOCKED = "blocked"
    """A 429 blocks the key until the server's hint."""
    COLD = "cold"
    """The quota is not known, or no longer; the first few requests are under way to find out."""
    BLIND = "blind"
    """The answers carry no headers; permits come at the configured fallback rate."""
    CEILING = "ceiling"
    """The configured rate of the tenant or of the campaign is used up."""


@dataclass(frozen=True, slots=True)
class LimiterKey:
    """One quota: a tenant and an endpoint of it.

    Attributes:
        tenant: The tenant's name in the settings.
        endpoint: The endpoint's path, without the leading slash.
    """

    tenant: str
    endpoint: str

    @property
    def name(self) -> str:
        """The Redis key that holds the shared state."""
        return f"gatepost:limiter:{self.tenant}:{self.endpoint}"


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to send `granted` requests within about a second.

    A permit that is not used needs no return: the next reading shows that the server never counted it.

    Attributes:
        granted: How many requests, at least one and at most what was asked for.
        first_ticket: The ticket of the first; the others follow by one each.
    """

    granted: int
    first_ticket: int

    @property
    def tickets(self) -> range:
        """One ticket for each request, in sending order. The request's reading carries it back."""
        return range(self.first_ticket, self.first_ticket + self.granted)


@dataclass(frozen=True, slots=True)
class Wait:
    """No permit now.

    Attributes:
        seconds: When it is worth asking again. Waiters are told different times.
        reason: Why.
    """

    seconds: float
    reason: WaitReason


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A rate of one's own beside the quota, shared by everybody who names it.

    Attributes:
        name: Whose rate it is: a campaign's identifier.
        rate: Requests a second.
    """

    name: str
    rate: float

    @property
    def key(self) -> str:
        """The Redis key that holds when the next request is due."""
        return f"gatepost:ceiling:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterSettings:
    """What an operator may decide about pacing.

    Attributes:
        reserve_share: The share of the bucket that bulk leaves for logins and single sends.
        fallback_rate: Requests a second while no answer carries rate-limit headers.
        max_rate: Requests a second that a tenant's endpoint never exceeds, whatever its quota; None: the quota alone.
        cold_permits: Requests sent to find out about a quota that is not known yet, or after a 429.
        longest_hint_s: A server's hint to wait longer than this, in seconds, is shown and not obeyed.
    """

    reserve_share: float = 0.2
    fallback_rate: float = 1.0
    max_rate: float | None = None
    cold_permits: int = 2
    longest_hint_s: float = LONGEST_HINT_S

    @classmethod
    def of(cls, settings: Settings, tenant: Tenant) -> Self:
        """Return what the configuration says about one tenant's pacing."""
        return cls(max_rate=tenant.max_rate, longest_hint_s=settings.longest_hint)

    def __post_init__(self) -> None:
        if not 0 <= self.reserve_share < 1:
            raise ValueError("reserve_share must be at least 0 and below 1")
        if self.fallback_rate <= 0 or (self.max_rate is not None and self.max_rate <= 0):
            raise ValueError("fallback_rate and max_rate must be above 0")
        if self.cold_permits < 1:
            raise ValueError("cold_permits must be at least 1")
        if self.longest_hint_s <= 0:
            raise ValueError("longest_hint_s must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketState:
    """What the limiter believes about one bucket.

    Attributes:
        limit: The bucket's size.
        level: Requests left, once everything under way has arrived.
        reserve: The part of the size that bulk leaves alone: the configured share, or more while others come unevenly.
        available_rate: Requests a second that flow in and that nobody else takes.
        refill_rate: The most that has been seen flowing in: the learnt refill, at least.
        foreign_rate: What others seem to take.
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
        issued: Permits given since the state began.
        blocked_for_s: Seconds until a 429's block ends; 0 if there is none.
        reading_age_s: Seconds since the last response with headers; None if there was none.
        blind: Whether permits come at the fallback rate for want of headers.
        ignored_hint_s: The newest hint that was too long to obey, in seconds; None if there was none.
        ignored_hint_age_s: Seconds since that hint came.
    """

    bucket: BucketState | None
    policy: BucketState | None
    issued: int
    blocked_for_s: float
    reading_age_s: float | None
    blind: bool
    ignored_hint_s: float | None = None
    ignored_hint_age_s: float | None = None


class Limiter(Protocol):
    """A quota shared by every worker of a tenant."""

    def acquire(
        self,
        key: LimiterKey,
        lane: Lane,
        want: int = 1,
        *,
        readings: Sequence[Reading] = (),
        ceiling: Ceiling | None = None,
    ) -> Permit | Wait:
        """Give leave to send, or say how long to wait. Never blocks and never sleeps.

        Args:
            key: The quota.
            lane: Whether the reserve may be used.
            want: The most permits to give; ask for what will be sent within about 100 ms.
            readings: Earlier responses under the same key, to take in by the same round trip.
            ceiling: A rate beside the quota, such as a campaign's own.

        Returns:
            A permit for one to `want` requests, or a wait.

        Raises:
            LimiterUnavailable: The shared state did not answer. Nothing may be sent.
        """
        ...

    def observe(self, key: LimiterKey, readings: Sequence[Reading]) -> None:
        """Take in responses without asking for anything.

        Args:
            key: The quota that the responses speak of.
            readings: The responses.

        Raises:
            LimiterUnavailable: The shared state did not answer. The readings are lost, which later ones repair.
        """
        ...

    def clear(self, key: LimiterKey) -> float:
        """Lift the block that a 429 began. A few requests look before the rest follow.

        Args:
            key: The quota.

        Returns:
            The seconds that were left of the block; 0 if there was none.

        Raises:
            LimiterUnavailable: The shared state did not answer.
        """
        ...

    def describe(self, key: LimiterKey) -> LimiterState | None:
        """Describe what is known of a quota.

        Args:
            key: The quota.

        Returns:
            The state, or None if the key was never used.

        Raises:
            LimiterUnavailable: The shared state did not answer.
        """
        ...
