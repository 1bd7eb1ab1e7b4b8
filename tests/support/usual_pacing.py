"""The usual ways to pace a campaign, for the limiter's world: what Gatepost is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost_worker.authentication.rate_limits import RateLimits
    from support.limiter_world import World


class CeleryRateLimit:
    """Celery's `rate_limit`: a bucket of one token in each worker process, at a guessed rate."""

    def __init__(self, world: World, rate: float, workers: int = 3) -> None:
        self._world = world
        self._gap = workers / rate
        self._due = [0.0] * workers

    def ask(self, slot: int) -> float:
        """Wait for this worker's next token."""
        worker = slot % len(self._due)
        if self._due[worker] > self._world.now:
            return self._due[worker] - self._world.now
        self._due[worker] = self._world.now + self._gap
        return 0.0

    def answered(self, _slot: int, _limits: RateLimits, *, allowed: bool) -> float:  # noqa: ARG002 - it learns nothing, which is the point
        """Continue: a refused task comes back by its retry."""
        return 0.0


class ExponentialBackoff:
    """No limiter: send, and after a 429 sleep for a second, two, four … up to a minute, with full jitter."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._refusals: dict[int, int] = {}

    def ask(self, _slot: int) -> float:
        """Send now."""
        return 0.0

    def answered(self, slot: int, _limits: RateLimits, *, allowed: bool) -> float:
        """Sleep longer after each refusal in a row."""
        if allowed:
            self._refusals.pop(slot, None)
            return 0.0
        refusals = self._refusals[slot] = self._refusals.get(slot, 0) + 1
        return self._world.random.uniform(0, min(60.0, 2.0 ** (refusals - 1)))
