"""One token bucket: its level, its refill, and foreign traffic that shares it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from enum import StrEnum

# More foreign arrivals than this between two updates are settled as a flow, not one by one.
_ARRIVALS_ONE_BY_ONE = 20_000
# Sums of refills fall short of a whole token by a rounding error.
_ROUNDING = 1e-9
_ONE = 1.0 - _ROUNDING


class Refill(StrEnum):
    """How tokens come back: a few at a time, or the whole bucket at the end of each period."""

    CONTINUOUS = "continuous"
    INTERVAL = "interval"


class Arrivals(StrEnum):
    """How foreign requests are spaced: at random, or evenly, which can coincide with the refill."""

    POISSON = "poisson"
    EVEN = "even"


@dataclass(slots=True)
class ForeignTraffic:
    """Requests of other clients: the rate a second, and how many were accepted and refused."""

    rate: float = 0.0
    arrivals: Arrivals = Arrivals.POISSON
    accepted: int = 0
    refused: int = 0
    next_at: float = math.inf
    spacing: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - repeatable arrivals, no secret

    def set_rate(self, rate: float, now: float, arrivals: Arrivals = Arrivals.POISSON) -> None:
        """Change the rate from `now` on; 0 stops the traffic."""
        self.rate = rate
        self.arrivals = arrivals
        self.next_at = now + self.gap() if rate > 0 else math.inf

    def gap(self) -> float:
        """Return the seconds to the next arrival."""
        if self.arrivals is Arrivals.POISSON:
            return self.spacing.expovariate(self.rate)
        return 1.0 / self.rate


class TokenBucket:
    """A bucket of `size` tokens which gains `refill` tokens every `period_s` seconds.

    Foreign arrivals are settled lazily, in order, whenever the bucket is used. They compete for each token as real
    requests would, and an advanced clock brings exactly the traffic of the time it skipped.
    """

    __slots__ = ("_level", "_mode", "_updated_at", "foreign", "period_s", "rate", "refill", "size")

    def __init__(self, size: int, refill: float, period_s: float, now: float, mode: Refill = Refill.CONTINUOUS) -> None:
        self.size = size
        self.refill = refill
        self.period_s = period_s
        self.rate = refill / period_s
        self.foreign = ForeignTraffic()
        self._mode = mode
        self._level = float(size)
        self._updated_at = now

    def take(self, now: float) -> bool:
        """Take one token; return whether there was one."""
        self.settle(now)
        if self._level < _ONE:
            return False
        self._level -= 1.0
        return True

    def remaining(self) -> int:
        """Return the whole tokens left, as of the last update."""
        return int(self._level + _ROUNDING)

    def wait(self, now: float) -> float:
        """Return the seconds until a token is available; infinite if the bucket never refills."""
        if self._level >= _ONE and self.size > 0:
            return 0.0
        if self.size < 1 or self.rate <= 0:
            return math.inf
        if self._mode is Refill.INTERVAL:
            return self._updated_at + self.period_s - now
        return (1.0 - self._level) / self.rate

    def next_refill(self, now: float) -> float:
        """Return the time at which the next token arrives, or `now` if the bucket is full."""
        if self._mode is Refill.INTERVAL:
            return self._updated_at + self.period_s
        if self.rate <= 0 or self._level >= self.size:
            return now
        return now + (1.0 - self._level % 1.0) / self.rate

    def full_at(self, now: float) -> float:
        """Return the time at which the bucket is full again, if no more are taken."""
        if self._mode is Refill.INTERVAL:
            return self._updated_at + self.period_s
        return now + (self.size - self._level) / self.rate if self.rate > 0 else now

    def set_level(self, level: float, now: float) -> None:
        """Set the tokens that are left."""
        self.settle(now)
        self._level = max(0.0, min(float(self.size), level))

    def settle(self, now: float) -> None:
        """Update the level to `now`: refill, and let the foreign requests since the last update take tokens."""
        foreign = self.foreign
        if foreign.next_at <= now:
            if (now - foreign.next_at) * foreign.rate > _ARRIVALS_ONE_BY_ONE:
                self._settle_as_flow(now - _ARRIVALS_ONE_BY_ONE / foreign.rate)
            while foreign.next_at <= now:
                self._refill_until(foreign.next_at)
                self._serve_foreign()
                foreign.next_at += foreign.gap()
        self._refill_until(now)

    def _serve_foreign(self) -> None:
        if self._level >= _ONE:
            self._level -= 1.0
            self.foreign.accepted += 1
        else:
            self.foreign.refused += 1

    def _settle_as_flow(self, until: float) -> None:
        foreign = self.foreign
        seconds = until - foreign.next_at
        arrived = int(seconds * foreign.rate)
        served = min(arrived, int(self._level + seconds * self.rate))
        foreign.accepted += served
        foreign.refused += arrived - served
        self._level = max(0.0, min(float(self.size), self._level + seconds * self.rate - served))
        self._updated_at = until
        foreign.next_at = until

    def _refill_until(self, now: float) -> None:
        elapsed = now - self._updated_at
        if elapsed <= 0:
            return
        if self._mode is Refill.CONTINUOUS:
            level = self._level + elapsed * self.rate
            self._level = level if level < self.size else float(self.size)
            self._updated_at = now
            return
        periods = int(elapsed / self.period_s)
        if periods:
            self._level = min(float(self.size), self._level + periods * self.refill)
            self._updated_at += periods * self.period_s
