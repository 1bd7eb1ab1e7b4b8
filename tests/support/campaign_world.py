"""A campaign in the limiter's world: the shipped script with its window, over a real Valkey, in simulated time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gatepost_core.campaigns.batch import BATCH_ROWS
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.bulk.calls import GATHER_S, Slots
from gatepost_worker.bulk.store import (
    BatchStore,
    Begun,
    Claim,
    Claimed,
    NoRowLeft,
    PermitSource,
    Settlement,
    Waiting,
)
from gatepost_worker.bulk.tools import FeedSchedule
from gatepost_worker.bulk.work import SLOT_S
from gatepost_worker.limiter import LimiterKey, LimiterSettings, Reading
from support.campaign_parts import TEST_CLOCK, TestClock
from support.keys import KEYS
from support.limiter_world import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from redis import Redis

    from support.limiter_world import Tenant, World

OPTIONS = '{"tenant":"default"}'
PROCESSES = 2
CALLS = 400
RUN_FOR_S = 10.0
INSTANT_S = 0.001


def constant(_world: World) -> float:
    """Every answer takes 115 ms."""
    return 0.115


def even(world: World) -> float:
    """Any time from 30 to 200 ms, with the same mean."""
    return world.random.uniform(0.03, 0.2)


def tailed(world: World) -> float:
    """The median is 80 ms, and one answer of a hundred takes 1.5 s."""
    return world.random.lognormvariate(math.log(0.08), math.log(1.5 / 0.08) / 2.3263)


@dataclass
class Held:
    """A batch that a worker holds."""

    claim: Claim
    outcomes: list[tuple[Settlement, Reading]] = field(default_factory=list)
    seq: int = 0
    cursor: int = 0
    under_way: int = 0
    ask_at: float = 0.0
    rest_s: float = 0.0
    exhausted: bool = False


class CampaignWorld:
    """Bulk workers that work on so many batches at once in all, and campaigns whose batches they take. A batch makes many calls at once."""

    def __init__(
        self,
        world: World,
        client: Redis,
        tenant: Tenant,
        *,
        latency: Callable[[], float],
        refused_share: float = 0.0,
        slots: int = 64,
    ) -> None:
        self.world, self.tenant, self.latency, self.refused_share = world, tenant, latency, refused_share
        self.clock = TestClock(client)
        self.store = CampaignStore(client, KEYS, republish_after_s=600, clock=TEST_CLOCK)
        self.batches = BatchStore(
            client,
            KEYS,
            republish_after_s=600,
            clock=TEST_CLOCK,
            monotonic=lambda: world.now,
            wall_clock=lambda: EPOCH + world.now,
        )
        self.source = PermitSource(key=LimiterKey("default", "passwordless/start"), settings=LimiterSettings())
        self.queue: deque[tuple[str, int]] = deque()
        self.sent: dict[str, list[float]] = {}
        self._processes = [(FeedSchedule(lambda: world.now), Slots(CALLS)) for _ in range(PROCESSES)]
        self._start = self.clock.ms / 1000
        for slot in range(slots):
            world.start(self._slot(slot), 0.01 * slot / slots)

    def start(self, campaign_id: str, people: int) -> None:
        """Record a campaign and start it."""
        record = {"name": campaign_id, "options": OPTIONS, "on_unknown": "hold", "max_attempts": 3, "deadline": ""}
        pauses = {"in_flight_limit": 1, "max_in_flight": 256, "pause_after_errors": 0, "pause_above_error_share": 0}
        self.store.create(campaign_id, {**record, **pauses})
        added, batch = 0, 0
        while added < people:
            rows = min(BATCH_ROWS, people - added)
            marks = [(added + row).to_bytes(8, "big") for row in range(rows)]
            self.store.append(campaign_id, batch, "sealed", marks)
            added, batch = added + rows, batch + 1
        self.sent[campaign_id] = []
        self.store.start(campaign_id, None)
        self._publish(campaign_id, self.store.feed(campaign_id))

    def _slot(self, slot: int) -> Generator[float, None, None]:
        while True:
            if not self.queue:
                yield 0.02
                continue
            campaign_id, number = self.queue.popleft()
            yield from self._batch(
                Claim(campaign_id, number, f"{slot} at {self.world.now}"), *self._processes[slot % PROCESSES]
            )

    def _batch(self, claim: Claim, schedule: FeedSchedule, slots: Slots) -> Generator[float, None, None]:
        self._tick()
        if not isinstance(self.batches.claim(claim, 60), Claimed):
            return
        held, until = Held(claim), self.world.now + RUN_FOR_S
        while True:
            leaving = held.exhausted or held.rest_s > 0 or self.world.now >= until
            asks = not leaving and self.world.now >= held.ask_at
            taken = slots.take(claim.campaign_id, BATCH_ROWS - held.under_way) if asks else 0
            if held.outcomes or taken:
                self._step(held, slots, taken)
                if schedule.is_due(claim.campaign_id):
                    self._publish(claim.campaign_id, self.store.feed(claim.campaign_id))
            elif leaving and not held.under_way:
                rest_s = held.rest_s
                self._publish(claim.campaign_id, self.batches.release(claim, wait_s=rest_s, rest_s=rest_s) or ())
                return
            waits_s = held.ask_at - self.world.now
            yield min(GATHER_S, max(waits_s, INSTANT_S)) if waits_s > 0 else GATHER_S

    def _step(self, held: Held, slots: Slots, taken: int) -> None:
        self._tick()
        held.seq += 1
        settled, held.outcomes[:] = [*held.outcomes], []
        accepted = sum(settlement.state is State.ACCEPTED for settlement, _ in settled)
        slots.learn(held.claim.campaign_id, succeeded=accepted, failed=len(settled) - accepted)
        step = self.batches.step(
            held.claim,
            held.seq,
            60,
            source=self.source,
            settlements=[settlement for settlement, _ in settled],
            readings=[reading for _, reading in settled],
            cursor=held.cursor,
            want=taken,
        )
        rows = step.rows if isinstance(step, Begun) else ()
        slots.give_back(held.claim.campaign_id, taken - len(rows))
        held.under_way += len(rows) - len(settled)
        match step:
            case Begun():
                held.cursor = step.rows[-1] + 1
                for ticket, row in enumerate(step.rows, step.first_ticket):
                    self.world.start(self._call(held.claim.campaign_id, row, ticket, slots, held.outcomes))
            case Waiting(seconds=seconds) if seconds <= SLOT_S:
                held.ask_at = self.world.now + seconds / 2
            case Waiting(seconds=seconds):
                held.rest_s = seconds
            case _:
                held.exhausted = held.exhausted or taken > 0 or not isinstance(step, NoRowLeft)

    def _call(
        self, campaign_id: str, row: int, ticket: int, slots: Slots, outcomes: list[tuple[Settlement, Reading]]
    ) -> Generator[float, None, None]:
        refused = self.world.random.random() < self.refused_share
        latency = INSTANT_S if refused else self.latency()
        sent_at, outward = self.world.now, min(latency / 2, 0.02)
        yield outward
        allowed, limits = self.tenant.call()
        yield latency - outward if allowed else outward
        limits = replace(limits, sent_at=sent_at, received_at=self.world.now)
        if not allowed:
            settlement = Settlement(row, State.DEFERRED)
        elif refused:
            settlement = Settlement(row, State.REJECTED, reason=Reason.RECIPIENT_REJECTED, attempts=1)
        else:
            settlement = Settlement(row, State.ACCEPTED, attempts=1)
        outcomes.append((settlement, Reading(ticket=ticket, limits=limits, refused=not allowed)))
        slots.give_back(campaign_id)
        self.sent[campaign_id].append(self.world.now)

    def _publish(self, campaign_id: str, picked: Iterable[tuple[int, float]]) -> None:
        for number, delay in picked:
            self.world.after(delay, lambda number=number: self.queue.append((campaign_id, number)))  # type: ignore[misc]

    def _tick(self) -> None:
        self.clock.advance(self._start + self.world.now - self.clock.ms / 1000)
