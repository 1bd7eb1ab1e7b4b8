"""A campaign in the limiter's world: the shipped script with its window, over a real Valkey, in simulated time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from gatepost_core.campaigns.batch import rows_in
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.bulk.batch_size import FeedSchedule, rows_at_once
from gatepost_worker.bulk.store import BatchStore, Begun, Claim, Claimed, PermitSource, Settlement, Waiting
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


class CampaignWorld:
    """Bulk workers with the given number of slots, and campaigns whose batches they take. One call a slot."""

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
        self._schedules = [FeedSchedule(lambda: world.now) for _ in range(PROCESSES)]
        self._start = self.clock.ms / 1000
        for slot in range(slots):
            world.start(self._slot(slot), 0.01 * slot / slots)

    def start(self, campaign_id: str, people: int) -> None:
        """Record a campaign and start it."""
        record = {"name": campaign_id, "options": OPTIONS, "on_unknown": "hold", "max_attempts": 3, "deadline": ""}
        pauses = {"in_flight_limit": 4, "max_in_flight": 256, "pause_after_errors": 0, "pause_above_error_share": 0}
        self.store.create(campaign_id, {**record, **pauses})
        added, batch = 0, 0
        while added < people:
            rows = min(rows_in(batch), people - added)
            marks = [(added + row).to_bytes(8, "big") for row in range(rows)]
            self.store.append(campaign_id, batch, "sealed", marks)
            added, batch = added + rows, batch + 1
        self.sent[campaign_id] = []
        self.store.start(campaign_id, None)
        self._publish(campaign_id, self.store.feed(campaign_id))

    def _slot(self, slot: int) -> Generator[float, None, None]:
        schedule = self._schedules[slot % PROCESSES]
        while True:
            if not self.queue:
                yield 0.02
                continue
            campaign_id, number = self.queue.popleft()
            yield from self._batch(Claim(campaign_id, number, f"{slot} at {self.world.now}"), schedule)

    def _batch(self, claim: Claim, schedule: FeedSchedule) -> Generator[float, None, None]:
        self._tick()
        if not isinstance(self.batches.claim(claim, 60), Claimed):
            return
        until, at_once, cursor, seq = self.world.now + RUN_FOR_S, 1, 0, 0
        settled: list[Settlement] = []
        read: list[Reading] = []
        while True:
            seq += 1
            self._tick()
            want = at_once if self.world.now < until else 0
            step = self.batches.step(
                claim, seq, 60, source=self.source, settlements=settled, readings=read, cursor=cursor, want=want
            )
            settled, read = [], []
            if isinstance(step, Waiting) and step.seconds <= 2:
                yield step.seconds
            elif isinstance(step, Begun):
                began, cursor = self.world.now, step.rows[-1] + 1
                for ticket, row in enumerate(step.rows, step.first_ticket):
                    yield from self._send(claim.campaign_id, row, ticket, settled, read)
                at_once = rows_at_once(at_once, self.world.now - began)
                self._tick()
                if schedule.is_due(claim.campaign_id):
                    self._publish(claim.campaign_id, self.store.feed(claim.campaign_id))
            else:
                wait = step.seconds if isinstance(step, Waiting) else 0.0
                self._publish(claim.campaign_id, self.batches.release(claim, wait_s=wait, rest_s=wait) or ())
                return

    def _send(
        self, campaign_id: str, row: int, ticket: int, settled: list[Settlement], read: list[Reading]
    ) -> Generator[float, None, None]:
        refused = self.world.random.random() < self.refused_share
        latency = INSTANT_S if refused else self.latency()
        sent_at, outward = self.world.now, min(latency / 2, 0.02)
        yield outward
        allowed, limits = self.tenant.call()
        yield latency - outward if allowed else outward
        read.append(
            Reading(
                ticket=ticket, limits=replace(limits, sent_at=sent_at, received_at=self.world.now), refused=not allowed
            )
        )
        if not allowed:
            settled.append(Settlement(row, State.DEFERRED))
        elif refused:
            settled.append(Settlement(row, State.REJECTED, reason=Reason.RECIPIENT_REJECTED, attempts=1))
        else:
            settled.append(Settlement(row, State.ACCEPTED, attempts=1))
        self.sent[campaign_id].append(self.world.now)

    def _publish(self, campaign_id: str, picked: Iterable[tuple[int, float]]) -> None:
        for number, delay in picked:
            self.world.after(delay, lambda number=number: self.queue.append((campaign_id, number)))  # type: ignore[misc]

    def _tick(self) -> None:
        self.clock.advance(self._start + self.world.now - self.clock.ms / 1000)
