"""What tests of campaigns share: rows, stores under a clock of their own, and sums that must come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.campaigns.rows import Channel, Row
from gatepost.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from gatepost.campaigns.model import Campaign

CLOCK_KEY = "test:clock"
TEST_CLOCK = f"local now_us = tonumber(redis.call('GET', '{CLOCK_KEY}'))\n"
"""In front of a script in place of the server's clock: the time is what a test has set."""
EPOCH_MS = 1_800_000_000_000


def email(number: int) -> str:
    return f"person{number}@example.com"


def rows(count: int, first: int = 0) -> Iterator[Row]:
    return (Row(number + 1, Channel.EMAIL, email(number)) for number in range(first, first + count))


def assert_adds_up(campaign: Campaign) -> None:
    """The states sum to the total, none is negative, and the reasons never exceed their states."""
    assert sum(campaign.counts.values()) == campaign.total
    assert min(campaign.counts.values()) >= 0
    for state in State:
        explained = sum(number for (named, _), number in campaign.reasons.items() if named is state)
        assert 0 <= explained <= campaign.counts[state]


class TestClock:
    """The time of scripts that begin with `TEST_CLOCK`."""

    __test__ = False

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._ms = EPOCH_MS
        self.advance(0)

    @property
    def ms(self) -> int:
        return self._ms

    def advance(self, seconds: float) -> None:
        self._ms += int(seconds * 1000)
        self._redis.set(CLOCK_KEY, self._ms * 1000)
