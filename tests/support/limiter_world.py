"""A discrete-event world for the limiter: remote buckets, foreign traffic, workers. No real time passes in it."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from gatepost_core.kinds import Lane
from gatepost_worker.authentication.rate_limits import ClientQuota, RateLimits
from gatepost_worker.limiter import Ceiling, LimiterKey, Permit, Reading, RedisLimiter
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from redis import Redis

    from gatepost_worker.limiter import LimiterSettings

EPOCH = 1_800_000_000.25
ROUNDING = 1e-9


class World:
    """Simulated time, and the events in it."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.random = random.Random(seed)  # noqa: S311 - a repeatable world, no secret
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    def after(self, delay: float, action: Callable[[], object]) -> None:
        """Do something later."""
        self._count += 1
        heapq.heappush(self._events, (self.now + delay, self._count, action))

    def start(self, process: Generator[float, None, None], delay: float = 0.0) -> None:
        """Run a process that yields the seconds it sleeps."""

        def step() -> None:
            pause = next(process, None)
            if pause is not None:
                self.after(pause, step)

        self.after(delay, step)

    def run(self, until: float, finished: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until then, or until it is finished."""
        while not finished() and self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
        if not finished():
            self.now = until


@dataclass
class Bucket:
    """A token bucket as Auth0 runs it: `limit` requests at once, `refill` a second afterwards."""

    world: World
    limit: int
    refill: float
    level: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.level = float(self.limit)

    def settle(self) -> None:
        """Bring the level up to now."""
        self.level = min(float(self.limit), self.level + (self.world.now - self.at) * self.refill)
        self.at = self.world.now

    def take(self) -> bool:
        """Take one, if there is one."""
        self.settle()
        if self.level < 1 - ROUNDING:
            return False
        self.level -= 1
        return True

    @property
    def next_refill_in(self) -> float:
        """Seconds until one more is there."""
        return (math.floor(self.level + ROUNDING) + 1 - self.level) / self.refill


@dataclass(kw_only=True)
class Tenant:
    """The remote side: its counts and its headers. Its shadow is the bucket as it would be without our requests."""

    world: World
    bucket: Bucket
    policy: Bucket | None = None
    headers: bool = True
    reset: bool = True
    retry_after: bool = False
    clock_skew: float = 0.0
    distort: Callable[[RateLimits], RateLimits] = lambda limits: limits
    counts: Counter[str] = field(default_factory=Counter)
    foreign: Counter[str] = field(default_factory=Counter)
    lowest: float = math.inf
    shadow: Bucket = field(init=False)

    def __post_init__(self) -> None:
        self.shadow = Bucket(self.world, self.bucket.limit, self.bucket.refill)

    def call(self) -> tuple[bool, RateLimits]:
        """Serve one of our requests: whether the quota allowed it, and the headers."""
        allowed = (self.policy is None or self.policy.take()) and self.bucket.take()
        self.bucket.settle()
        self.counts["accepted" if allowed else "refused"] += 1
        self.lowest = min(self.lowest, self.bucket.level)
        return allowed, self.distort(self._headers(refused=not allowed))

    def foreign_call(self) -> None:
        """Serve one request of another application."""
        allowed, without_us = self.bucket.take(), self.shadow.take()
        self.foreign["accepted" if allowed else "refused"] += 1
        self.foreign["blamed"] += without_us and not allowed
        self.lowest = min(self.lowest, self.bucket.level)

    def _headers(self, *, refused: bool) -> RateLimits:
        if not self.headers:
            return RateLimits()
        now = EPOCH + self.world.now + self.clock_skew
        quota = None
        if self.policy:
            interval = max(1, round(self.policy.limit / self.policy.refill))
            quota = ClientQuota(self.policy.limit, interval, int(self.policy.level))
        return RateLimits(
            limit=self.bucket.limit,
            remaining=int(self.bucket.level + ROUNDING),
            reset_epoch_s=math.ceil(now + self.bucket.next_refill_in) if self.reset else None,
            retry_after_s=math.ceil(self.bucket.next_refill_in) if refused and self.retry_after else None,
            date_epoch_s=math.floor(now),
            client_quota=quota,
        )


def foreign_traffic(world: World, tenant: Tenant, share: Callable[[float], float]) -> Generator[float, None, None]:
    """Other consumers: requests at random, at a share of the refill that changes over time."""
    while True:
        rate = share(world.now) * tenant.bucket.refill
        gap = world.random.expovariate(rate) if rate > 0 else math.inf
        if gap > 0.25:  # by then the share may have changed; arrivals at random have no memory
            yield 0.25
        else:
            yield gap
            tenant.foreign_call()


class Pacing(Protocol):
    """How a slot of a worker decides when to send."""

    def ask(self, slot: int, /) -> float:
        """Give 0 to send now, or the seconds to wait before asking again."""
        ...

    def answered(self, slot: int, limits: RateLimits, /, *, allowed: bool) -> float:
        """Take in an answer; give the seconds to pause."""
        ...


class SharedLimiter:
    """Gatepost's way: the shipped limiter, script and all, over a real Valkey, with simulated time."""

    def __init__(
        self,
        world: World,
        client: Redis,
        settings: LimiterSettings | None = None,
        lane: Lane = Lane.BULK,
        ceiling: Ceiling | None = None,
    ) -> None:
        self.key = LimiterKey("tenant", "passwordless/start")
        self.lane = lane
        self.ceiling = ceiling
        self.asked = 0
        self.limiter = RedisLimiter(
            client,
            KEYS,
            settings,
            clock=lambda: world.now,
            wall_clock=lambda: EPOCH + world.now,
            server_clock=lambda: int((EPOCH + world.now) * 1e6),
        )
        self._tickets: dict[int, int] = {}
        self._readings: dict[int, list[Reading]] = {}

    def ask(self, slot: int) -> float:
        """Ask the limiter, and pass on the new readings."""
        self.asked += 1
        answer = self.limiter.acquire(self.key, self.lane, readings=self._readings.pop(slot, ()), ceiling=self.ceiling)
        if isinstance(answer, Permit):
            self._tickets[slot] = answer.first_ticket
            return 0.0
        return answer.seconds

    def answered(self, slot: int, limits: RateLimits, *, allowed: bool) -> float:
        """Keep the reading for the next question."""
        reading = Reading(ticket=self._tickets.pop(slot), limits=limits, refused=not allowed)
        self._readings.setdefault(slot, []).append(reading)
        return 0.0


Latency = "Callable[[random.Random], float]"


def uniform(low: float, high: float) -> Latency:
    """Answers after a time between two, in seconds."""
    return lambda chance: chance.uniform(low, high)


USUAL_LATENCY = uniform(0.05, 0.15)


def lognormal(median: float, p99: float) -> Latency:
    """Answers with a long tail; seconds."""
    return lambda chance: chance.lognormvariate(math.log(median), math.log(p99 / median) / 2.326)


def sender(
    world: World,
    tenant: Tenant,
    pacing: Pacing,
    slot: int,
    *,
    latency: Latency = USUAL_LATENCY,
    more: Callable[[], bool] = lambda: True,
) -> Generator[float, None, None]:
    """One slot of a worker: ask, send, take in the answer, again."""
    while more():
        wait = pacing.ask(slot)
        if wait > 0:
            yield wait
            continue
        round_trip = latency(world.random)
        outward = min(round_trip * world.random.uniform(0.3, 0.7), 0.1)
        sent_at = world.now
        yield outward
        allowed, limits = tenant.call()
        yield round_trip - outward
        limits = replace(limits, sent_at=sent_at, received_at=world.now)
        yield 0.001 + pacing.answered(slot, limits, allowed=allowed)


@dataclass(frozen=True, kw_only=True)
class Run:
    """The result of a run.

    Attributes:
        used: Our accepted requests, divided by the tokens above the reserve plus the refill during the run, less the tokens of others.
        refused: The share of our requests that met a 429.
        foreign_refused: The share of everybody else's that did.
        blamed: The share of everybody else's that did and would not have without us.
        accepted: Our accepted requests.
        lowest: The bucket's lowest level.
        seconds: How long it took.
        asked: Questions to the limiter for each request sent.
    """

    used: float
    refused: float
    foreign_refused: float
    accepted: int
    lowest: float
    seconds: float
    asked: float = math.nan
    blamed: float = 0.0


def measure(tenant: Tenant, pacing: Pacing, reserve_share: float = 0.2) -> Run:
    """Sum up a run that is over."""
    world, bucket, ours, theirs = tenant.world, tenant.bucket, tenant.counts, tenant.foreign
    reserve = int(bucket.limit * reserve_share)
    left_over = bucket.limit - reserve + bucket.refill * world.now - theirs["accepted"]
    return Run(
        used=ours["accepted"] / left_over,
        refused=ours["refused"] / max(1, ours.total()),
        foreign_refused=theirs["refused"] / max(1, theirs["accepted"] + theirs["refused"]),
        blamed=theirs["blamed"] / max(1, theirs["accepted"] + theirs["refused"]),
        accepted=ours["accepted"],
        lowest=tenant.lowest,
        seconds=world.now,
        asked=getattr(pacing, "asked", math.nan) / max(1, ours.total()),
    )


def nobody_else(_now: float) -> float:
    """No foreign traffic."""
    return 0.0


def stepping(seconds: float) -> Callable[[float], float]:
    """A foreign share that steps from nothing to 70 % to 20 %, a third of the time each."""

    def share(now: float) -> float:
        return 0.0 if now < seconds / 3 else 0.7 if now < 2 * seconds / 3 else 0.2

    return share


def simulate(
    tenant: Tenant,
    pacing: Pacing,
    *,
    seconds: float,
    share: Callable[[float], float] = nobody_else,
    slots: int = 24,
    recipients: float = math.inf,
    latency: Latency = USUAL_LATENCY,
) -> Run:
    """Run slots for the given time, or until the given number of recipients are served."""
    world = tenant.world

    def served() -> bool:
        return tenant.counts["accepted"] >= recipients

    world.start(foreign_traffic(world, tenant, share))
    for slot in range(slots):
        worker = sender(world, tenant, pacing, slot, latency=latency, more=lambda: not served())
        world.start(worker, world.random.uniform(0, 0.01))
    world.run(seconds, served)
    return measure(tenant, pacing)
