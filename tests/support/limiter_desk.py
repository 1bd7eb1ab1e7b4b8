"""A limiter over a real Valkey, with a clock that a test moves and the readings that a server would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_core.kinds import Lane
from gatepost_worker.authentication.rate_limits import RateLimits
from gatepost_worker.limiter import LimiterKey, LimiterSettings, Permit, Reading, RedisLimiter, Wait
from support.keys import KEYS

if TYPE_CHECKING:
    import redis

EPOCH = 1_800_000_000
KEY = LimiterKey("tenant", "passwordless/start")


class Desk:
    """A limiter, its clock, and the readings that a server would give."""

    def __init__(self, client: redis.Redis, **settings: Any) -> None:
        self.now = 0.0
        self.limiter = RedisLimiter(
            client,
            KEYS,
            LimiterSettings(**settings),
            clock=lambda: self.now,
            wall_clock=lambda: EPOCH + self.now,
            server_clock=lambda: int((EPOCH + self.now) * 1e6),
        )

    def ask(self, lane: Lane = Lane.BULK, want: int = 1, **more: Any) -> Permit | Wait:
        return self.limiter.acquire(KEY, lane, want, **more)

    def permit(self, lane: Lane = Lane.BULK, want: int = 1, **more: Any) -> Permit:
        answer = self.ask(lane, want, **more)
        assert isinstance(answer, Permit)
        return answer

    def wait(self, lane: Lane = Lane.BULK, want: int = 1, **more: Any) -> Wait:
        answer = self.ask(lane, want, **more)
        assert isinstance(answer, Wait)
        return answer

    def reading(self, ticket: int, *, refused: bool = False, **limits: Any) -> Reading:
        told = RateLimits(sent_at=self.now - 0.1, received_at=self.now, **limits)
        return Reading(ticket=ticket, limits=told, refused=refused)

    def observe(self, ticket: int, *, refused: bool = False, **limits: Any) -> None:
        self.limiter.observe(KEY, [self.reading(ticket, refused=refused, **limits)])

    def know(self, limit: int, remaining: int) -> int:
        """Make the quota known; give the ticket that did it."""
        ticket = self.permit(Lane.INTERACTIVE).first_ticket
        self.now += 0.1
        self.observe(ticket, limit=limit, remaining=remaining)
        return ticket


def drain(desk: Desk, lane: Lane) -> int:
    """Take permits until there are none; give how many there were."""
    taken = 0
    while isinstance(answer := desk.ask(lane), Permit):
        taken += answer.granted
    return taken
