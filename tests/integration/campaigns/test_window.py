"""How many batches are out: it follows from the calls in flight, which the permits decide, and from the live workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.store import CampaignStore
from gatepost_worker.bulk.store import BatchStore, Claim, Claimed, NotClaimed, PermitSource, Step, Stopped, Waiting
from gatepost_worker.limiter import Ceiling, LimiterKey, LimiterSettings
from support.campaign_parts import TEST_CLOCK, TestClock, rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost.campaigns.control import Campaigns

LEASE_S = 60.0
ROWS = 256


class Fleet:
    """Workers that together hold so many batches. A test says how many calls are in flight."""

    def __init__(
        self, client: redis.Redis, campaigns: Campaigns, *, slots: int = 1000, workers: int = 1, **options: Any
    ) -> None:
        self.redis, self.campaigns, self.slots = client, campaigns, slots
        self.clock = TestClock(client)
        self.store = CampaignStore(client, KEYS, republish_after_s=600, clock=TEST_CLOCK)
        self.workers = [BatchStore(client, KEYS, republish_after_s=600, clock=TEST_CLOCK) for _ in range(workers)]
        self.campaign_id = campaigns.create("spring", Options(**options))
        campaigns.add(self.campaign_id, rows(40 * ROWS))
        self.published: list[int] = []
        self.held: list[int] = []
        self.silent: set[int] = set()
        self._seq = 0
        self.store.start(self.campaign_id, None)

    def feed(self, seconds: float = 0.5, *, in_flight: int | None = None) -> int:
        """Let time pass, have free slots take the published batches, and return how many batches are out.

        By default each batch that is held has all of its calls in flight.
        """
        self.clock.advance(seconds)
        self._keep_leases()
        calls = ROWS * len(self.held) if in_flight is None else in_flight
        self.redis.hset(KEYS.campaign(self.campaign_id), "in_flight", calls)
        self.published += [number for number, _ in self.store.feed(self.campaign_id)]
        while self.published and len(self.held) < self.slots:
            number = self.published.pop(0)
            worker = self.workers[number % len(self.workers)]
            assert isinstance(worker.claim(self._claim(number), LEASE_S), Claimed)
            self.held.append(number)
        return len(self.published) + len(self.held)

    def _keep_leases(self) -> None:
        for number in self.held:
            if number not in self.silent:
                self._step(number, want=0)

    def _step(self, number: int, *, want: int) -> Step:
        self.redis.set(KEYS.ceiling("none"), f"{4e15:.0f} 0")
        source = PermitSource(
            key=LimiterKey("tenant", "start"), settings=LimiterSettings(), ceiling=Ceiling("none", 1e-5)
        )
        self._seq += 1
        return self.workers[0].step(self._claim(number), self._seq, LEASE_S, source=source, want=want)

    def ask_in_vain(self) -> None:
        """Every batch of a worker that is not silent asks for a permit that there is not; one that is surplus goes back."""
        for number in [number for number in self.held if number not in self.silent]:
            step = self._step(number, want=1)
            assert isinstance(step, Waiting) or step == Stopped("surplus")
            if isinstance(step, Stopped):
                self.held.remove(number)
                picked = self.workers[0].release(self._claim(number))
                assert picked is not None
                self.published += [again for again, _ in picked]

    def _claim(self, number: int) -> Claim:
        return Claim(self.campaign_id, number, f"holder of {number}")


@pytest.fixture
def make_fleet(redis_client: redis.Redis, campaigns: Campaigns) -> Callable[..., Fleet]:
    def make(**options: Any) -> Fleet:
        return Fleet(redis_client, campaigns, **options)

    return make


def test_it_grows_as_long_as_every_call_is_in_flight(make_fleet: Callable[..., Fleet]) -> None:
    """Permits are not what it waits for: more are tried each time, up to `max_in_flight`."""
    fleet = make_fleet(max_in_flight=14)

    assert [fleet.feed() for _ in range(5)] == [1, 3, 7, 11, 14]


@pytest.mark.parametrize(("workers", "out"), [(1, 2), (3, 4)])
def test_it_holds_what_the_calls_in_flight_need_and_one_for_each_worker(
    make_fleet: Callable[..., Fleet], workers: int, out: int
) -> None:
    """A hundred calls fit one batch, whatever an answer takes."""
    fleet = make_fleet(workers=workers)
    for _ in range(3):
        fleet.feed(in_flight=5 * ROWS)
    for _ in range(20):
        fleet.feed(in_flight=100)
        fleet.ask_in_vain()

    assert fleet.feed(in_flight=100) == out


def test_a_worker_that_is_gone_counts_no_more(make_fleet: Callable[..., Fleet]) -> None:
    """It took no batch for a minute."""
    fleet = make_fleet(workers=3)
    for _ in range(4):
        fleet.feed(in_flight=4 * ROWS)
    fleet.clock.advance(61)
    del fleet.workers[1:]
    for _ in range(20):
        fleet.feed(in_flight=0)
        fleet.ask_in_vain()

    assert fleet.feed(in_flight=0) == 1


def test_a_moment_without_calls_is_no_reason_to_shrink_at_once(make_fleet: Callable[..., Fleet]) -> None:
    """Half a second later most of the window is still there."""
    fleet = make_fleet()
    for _ in range(5):
        fleet.feed(in_flight=5 * ROWS)
    before = fleet.feed(in_flight=5 * ROWS)
    fleet.feed(0.2, in_flight=0)
    fleet.ask_in_vain()

    assert fleet.feed(0.2, in_flight=0) > 0.6 * before


def test_only_a_few_messages_wait_for_a_slot(make_fleet: Callable[..., Fleet]) -> None:
    """Two slots, all with calls in flight: a few messages wait, so another campaign's wait behind as few."""
    fleet = make_fleet(slots=2)
    for _ in range(20):
        fleet.feed(in_flight=20 * ROWS)

    assert len(fleet.published) <= 4


def test_what_a_killed_worker_held_counts_no_more(make_fleet: Callable[..., Fleet]) -> None:
    """Leases end, the sweep finds them, and the window is that of a campaign that begins."""
    fleet = make_fleet()
    for _ in range(4):
        fleet.feed()
    before = len(fleet.held)
    fleet.clock.advance(LEASE_S + 1)
    while fleet.store.sweep(fleet.campaign_id)[1]:
        pass
    fleet.redis.hset(KEYS.campaign(fleet.campaign_id), "in_flight", 0)
    fleet.store.feed(fleet.campaign_id)

    assert before > 10
    assert fleet.redis.zcard(KEYS.held(fleet.campaign_id)) == 0
    assert fleet.campaigns.status(fleet.campaign_id).in_flight_limit == 1


def test_the_batches_of_a_silent_worker_do_not_count_as_out(make_fleet: Callable[..., Fleet]) -> None:
    """Three seconds after its last step the others get as many batches in place of its own, which stay leased."""
    fleet = make_fleet(workers=2)
    for _ in range(20):
        fleet.feed(in_flight=100)
        fleet.ask_in_vain()
    before = list(fleet.held)
    fleet.silent = set(before)
    soon = [fleet.feed(1, in_flight=100) for _ in range(2)]
    later = [fleet.feed(1, in_flight=100) for _ in range(4)]
    other = fleet.workers[1].claim(Claim(fleet.campaign_id, before[0], "another"), LEASE_S)

    assert soon == [len(before)] * 2
    assert later[-1] == 2 * len(before)
    assert other == NotClaimed("busy")


def test_the_calls_of_a_silent_worker_ask_for_no_further_batches(make_fleet: Callable[..., Fleet]) -> None:
    """Its rows stay in flight until the lease ends, and the window follows the calls of the others."""
    fleet = make_fleet()
    fleet.feed(in_flight=0)
    [number] = fleet.silent = fleet.held[:]
    fleet.redis.hset(KEYS.batch(fleet.campaign_id, number), "states", "f" * ROWS)
    for _ in range(8):
        fleet.feed(1, in_flight=ROWS)

    assert fleet.campaigns.status(fleet.campaign_id).in_flight_limit == 2


def test_a_worker_that_was_silent_and_steps_again_counts_again(make_fleet: Callable[..., Fleet]) -> None:
    """Then too many are out, and those that wait for permits go back."""
    fleet = make_fleet(workers=2)
    for _ in range(20):
        fleet.feed(in_flight=100)
        fleet.ask_in_vain()
    before = len(fleet.held)
    fleet.silent = set(fleet.held)
    for _ in range(5):
        fleet.feed(1, in_flight=100)
    fleet.silent = set()
    for _ in range(5):
        fleet.feed(in_flight=100)
        fleet.ask_in_vain()

    assert len(fleet.held) == before
