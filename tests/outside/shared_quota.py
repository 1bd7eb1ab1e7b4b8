"""A tenant's token bucket that foreign users drink from, beside the bucket that they would have without us. Pure: time is handed in."""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass, field


@dataclass
class Second:
    """The counts of one second of a run.

    Attributes:
        second: its number, from 0 at the start of the run.
        ours_granted: requests of ours that took a token, whatever their answer said.
        ours_429: requests of ours that found no token.
        ours_refused: of the granted, those answered with a 400.
        ours_closed: requests of ours whose connection was closed without an answer; they take no token.
        foreign_wanted: requests that the foreign users made.
        foreign_granted: those that found a token.
        foreign_429: those that found none.
        foreign_429_blamed: those that would have found one without us.
        level: tokens in the bucket at the end of the second.
        by_domain: requests of ours that took a token, by the domain of the recipient's address.
    """

    second: int
    ours_granted: int = 0
    ours_429: int = 0
    ours_refused: int = 0
    ours_closed: int = 0
    foreign_wanted: int = 0
    foreign_granted: int = 0
    foreign_429: int = 0
    foreign_429_blamed: int = 0
    level: float = 0.0
    by_domain: dict[str, int] = field(default_factory=dict)


class Bucket:
    """A token bucket that fills evenly. Full at the start."""

    def __init__(self, size: float, refill: float) -> None:
        self.size, self.refill = size, refill
        self.tokens = float(size)
        self._at = 0.0

    def fill(self, now: float) -> None:
        if now > self._at:
            self.tokens = min(self.size, self.tokens + (now - self._at) * self.refill)
            self._at = now

    def take(self, now: float) -> bool:
        self.fill(now)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def next_token_in(self) -> float:
        """Seconds until the bucket holds one more whole token."""
        return (math.floor(self.tokens) + 1 - self.tokens) / self.refill


def foreign_rate(shape: list[float | str | list[list[float]]], at: float) -> float:
    """Return the foreign users' requests a second, `at` seconds into the run.

    Args:
        shape: `["constant", rate]`, `["steps", [[from, rate], ...]]` or `["sine", lowest, highest, period]`.
        at: Seconds since the start of the run.
    """
    match shape:
        case ["constant", float() | int() as rate]:
            return rate
        case ["steps", list() as steps]:
            return next((rate for start, rate in reversed(steps) if at >= start), 0.0)
        case ["sine", float() | int() as low, float() | int() as high, float() | int() as period]:
            # From the lowest rate upwards.
            return (low + high) / 2 - (high - low) / 2 * math.cos(2 * math.pi * at / period)
    raise ValueError(f"no such shape of foreign load: {shape}")


def _highest(shape: list[float | str | list[list[float]]]) -> float:
    match shape:
        case ["steps", list() as steps]:
            return max(rate for _, rate in steps)
        case ["sine", _, float() | int() as high, _]:
            return high
    return foreign_rate(shape, 0.0)


class SharedQuota:
    """Who took what of one tenant's quota, second by second. Foreign users arrive at random moments (Poisson)."""

    def __init__(self, size: int, refill: float, foreign: list[float | str | list[list[float]]], seed: int = 1) -> None:
        self.bucket, self.shadow = Bucket(size, refill), Bucket(size, refill)
        self.seconds: list[Second] = []
        self._foreign, self._highest = foreign, _highest(foreign)
        self._chance = random.Random(seed)  # noqa: S311 - made-up users
        self._next_arrival = self._after(0.0)

    def ours(self, now: float, domain: str) -> bool:
        """Take a token for a request of ours; return whether there was one."""
        second = self.advance(now)
        granted = self.bucket.take(now)
        if granted:
            second.ours_granted += 1
            second.by_domain[domain] = second.by_domain.get(domain, 0) + 1
        else:
            second.ours_429 += 1
        return granted

    def advance(self, now: float) -> Second:
        """Apply the foreign users' requests until now; return the counts of the present second."""
        while (at := self._next_arrival) <= now:
            self._next_arrival = self._after(at)
            # Thinning: arrivals at the highest rate, of which a share counts.
            if self._chance.random() * self._highest < foreign_rate(self._foreign, at):
                self._foreign_request(at)
        return self._second(now)

    def as_json(self, now: float) -> list[dict[str, object]]:
        """Return the whole seconds that are over."""
        self.advance(now)
        return [asdict(second) for second in self.seconds[: math.floor(now)]]

    def _foreign_request(self, at: float) -> None:
        second = self._second(at)
        second.foreign_wanted += 1
        without_us = self.shadow.take(at)
        if self.bucket.take(at):
            second.foreign_granted += 1
        else:
            second.foreign_429 += 1
            second.foreign_429_blamed += without_us

    def _second(self, at: float) -> Second:
        while len(self.seconds) <= at:
            self.bucket.fill(len(self.seconds))
            if self.seconds:
                self.seconds[-1].level = self.bucket.tokens
            self.seconds.append(Second(len(self.seconds)))
        return self.seconds[-1]

    def _after(self, at: float) -> float:
        return at + self._chance.expovariate(self._highest) if self._highest else math.inf
