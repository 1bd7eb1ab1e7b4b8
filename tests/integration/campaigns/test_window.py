"""How many batches are out: it follows from the permits that they get, and from nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.states import State
from gatepost_worker.bulk.store import (
    BatchStore,
    Begun,
    Claim,
    Claimed,
    PermitSource,
    Settlement,
    Step,
    Stopped,
    Waiting,
)
from gatepost_worker.limiter import Ceiling, LimiterKey, LimiterSettings
from support.campaign_parts import TEST_CLOCK, TestClock, rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import redis

    from gatepost.campaigns.control import Campaigns

LEASE_S = 60.0


class Fleet:
    """Workers with a number of slots. A batch that one holds has a call out or waits for a permit, as the test says."""

    def __init__(self, client: redis.Redis, campaigns: Campaigns, slots: int, **options: Any) -> None:
        self.redis, self.campaigns, self.slots = client, campaigns, slots
        self.clock = TestClock(client)
        self.store = CampaignStore(client, KEYS, republish_after_s=600, clock=TEST_CLOCK)
        self.batches = BatchStore(client, KEYS, republish_after_s=600, clock=TEST_CLOCK)
        self.campaign_id = campaigns.create("spring", Options(**options))
        campaigns.add(self.campaign_id, rows(4000))
        self.published: list[int] = []
        self.calling: dict[int, Begun] = {}
        self.waiting: list[int] = []
        self._seq = 0
        self.store.start(self.campaign_id, None)

    def feed(self, seconds: float = 0.5) -> int:
        """Advance the time, let free slots take published batches, and return the number of batches out."""
        self.clock.advance(seconds)
        self.published += [number for number, _ in self.store.feed(self.campaign_id)]
        while self.published and len(self.calling) + len(self.waiting) < self.slots:
            number = self.published.pop(0)
            assert isinstance(self.batches.claim(self._claim(number), LEASE_S), Claimed)
            self.waiting.append(number)
        return len(self.published) + len(self.calling) + len(self.waiting)

    def call(self, most: int = 1000) -> None:
        """Give permits to batches until the given number have a call out, or take them away from the others."""
        while self.waiting and len(self.calling) < most:
            number = self.waiting.pop()
            step = self._step(number)
            assert isinstance(step, Begun)
            self.calling[number] = step
        for number in list(self.calling)[most:]:
            begun = self.calling.pop(number)
            step = self._step(
                number, [Settlement(row, State.ACCEPTED, attempts=1) for row in begun.rows], permits=False
            )
            self._went_without(number, step)

    def ask_in_vain(self) -> None:
        """Every batch that waits asks once more."""
        asking, self.waiting = self.waiting, []
        for number in asking:
            self._went_without(number, self._step(number, permits=False))

    def count(self, field: str) -> int:
        return int(self.redis.hget(KEYS.campaign(self.campaign_id), field) or 0)

    def _went_without(self, number: int, step: Step) -> None:
        if isinstance(step, Stopped):
            assert step.why == "surplus"
            picked = self.batches.release(self._claim(number))
            assert picked is not None
            self.published += [again for again, _ in picked]
        else:
            assert isinstance(step, Waiting)
            self.waiting.append(number)

    def _step(self, number: int, settlements: Iterable[Settlement] = (), *, permits: bool = True) -> Step:
        self._seq += 1
        # An unused rate has a permit at once; one that was just used has none for hours.
        name, rate = (f"permit-{self._seq}", 10.0) if permits else ("none", 1e-5)
        source = PermitSource(
            key=LimiterKey(f"tenant-{self._seq}", "start"), settings=LimiterSettings(), ceiling=Ceiling(name, rate)
        )
        return self.batches.step(
            self._claim(number), self._seq, LEASE_S, source=source, settlements=tuple(settlements), want=1
        )

    def _claim(self, number: int) -> Claim:
        return Claim(self.campaign_id, number, f"holder of {number}")


@pytest.fixture
def make_fleet(redis_client: redis.Redis, campaigns: Campaigns) -> Callable[..., Fleet]:
    def make(slots: int = 1000, **options: Any) -> Fleet:
        fleet = Fleet(redis_client, campaigns, slots, **options)
        redis_client.set(KEYS.ceiling("none"), f"{4e15:.0f} 0")
        return fleet

    return make


def grow(fleet: Fleet, feeds: int, most: int = 1000) -> int:
    """Calls go out at each batch that may have one, look after look; return how many batches are out at the end."""
    for _ in range(feeds):
        fleet.feed()
        fleet.call(most)
    return fleet.feed()


@pytest.mark.parametrize(("feeds", "out"), [(1, 8), (2, 12), (20, 30)])
def test_it_grows_as_long_as_every_batch_has_a_call_out(make_fleet: Callable[..., Fleet], feeds: int, out: int) -> None:
    """Permits are not the limit, so the window grows at any latency, up to `max_in_flight`."""
    assert grow(make_fleet(max_in_flight=30), feeds) == out


def test_it_holds_while_half_of_the_batches_wait_for_a_permit(make_fleet: Callable[..., Fleet]) -> None:
    """Ten calls are all that the permits keep busy: twice as many batches, and four to look for more."""
    fleet = make_fleet()

    assert grow(fleet, 10, most=10) == 24
    assert grow(fleet, 10, most=10) == 24


def test_it_shrinks_when_others_get_the_permits_and_the_surplus_goes_home(make_fleet: Callable[..., Fleet]) -> None:
    """Two calls where there were ten: within seconds eight batches are out; those that wait for a permit gave way."""
    fleet = make_fleet()
    grow(fleet, 10, most=10)
    for _ in range(20):
        fleet.call(2)
        fleet.feed()
        fleet.ask_in_vain()

    assert fleet.feed() == 8


def test_one_slow_answer_is_no_reason_to_shrink_at_once(make_fleet: Callable[..., Fleet]) -> None:
    """For a moment no call is out; half a second later most of the window is still there."""
    fleet = make_fleet()
    before = grow(fleet, 10, most=10)
    fleet.call(0)
    fleet.feed(0.2)
    fleet.ask_in_vain()

    assert fleet.feed(0.2) > 0.6 * before


def test_only_a_few_messages_wait_for_a_slot(make_fleet: Callable[..., Fleet]) -> None:
    """Eight slots, all with a call out: four messages wait, so another campaign's wait behind four."""
    assert grow(make_fleet(slots=8), 20) == 12


def test_what_a_killed_worker_held_counts_no_more(make_fleet: Callable[..., Fleet]) -> None:
    """Leases end, the sweep finds them, and the window is that of a campaign that begins."""
    fleet = make_fleet()
    grow(fleet, 5)
    before = fleet.count("calling"), fleet.count("leased")
    fleet.clock.advance(LEASE_S + 1)
    while fleet.store.sweep(fleet.campaign_id)[1]:
        pass
    fleet.store.feed(fleet.campaign_id)

    assert min(before) > 10
    assert (fleet.count("calling"), fleet.count("leased")) == (0, 0)
    assert fleet.campaigns.status(fleet.campaign_id).in_flight_limit == 4
