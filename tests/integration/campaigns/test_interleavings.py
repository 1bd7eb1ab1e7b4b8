"""Any interleaving of workers, kills, lost and doubled messages and operators keeps one state a row and the sums right."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gatepost.campaigns.report import campaign_of
from gatepost.errors import CampaignConflict
from gatepost_core.campaigns.model import Status
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.campaigns.wire_format import STATES, unpack_records
from gatepost_core.reasons import IMPLIED, Reason
from gatepost_core.states import State
from gatepost_worker.authentication import RateLimits
from gatepost_worker.bulk.store import (
    BatchStore,
    Begun,
    Claim,
    Claimed,
    Lost,
    Mark,
    NoRowLeft,
    PermitSource,
    Settlement,
    Stopped,
)
from gatepost_worker.limiter import LimiterKey, LimiterSettings, Reading
from support.campaign_parts import EPOCH_MS, TEST_CLOCK, TestClock, assert_adds_up
from support.examples import examples
from support.keys import KEYS

if TYPE_CHECKING:
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey

CAMPAIGN = "11111111-1111-4111-8111-111111111111"
LEASE_S = 20.0
SOURCE = PermitSource(key=LimiterKey("default", "passwordless/start"), settings=LimiterSettings())
OPTIONS = '{"tenant":"default"}'

UNSENT = (State.QUEUED, State.DEFERRED)
OUTCOMES = st.sampled_from(
    [State.ACCEPTED] * 3 + [State.REJECTED, State.UNKNOWN, State.EXHAUSTED, State.QUEUED, State.DEFERRED]
)
REASON_OF = {
    State.REJECTED: Reason.RECIPIENT_REJECTED,
    State.UNKNOWN: Reason.ANSWER_LOST,
    State.EXHAUSTED: Reason.NOT_REACHED,
}


@dataclass
class Worker:
    """A worker as the store sees it: its leases, and its last call."""

    claim: Claim
    seq: int = 0
    cursor: int = 0
    begun: list[int] = field(default_factory=list)
    tickets: int = 0
    last: dict[str, Any] | None = None
    last_answer: Any = None
    lost: bool = False


class Interleavings(RuleBasedStateMachine):
    """The campaign's store under everything that can happen to it, against a model of what may have been sent."""

    workers = Bundle("workers")
    url = ""
    resend = False

    @initialize(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4), started=st.booleans())
    def create(self, sizes: list[int], started: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        self.redis = redis.Redis.from_url(self.url, protocol=2)
        self.redis.flushall()
        self.clock = TestClock(self.redis)
        self.store = CampaignStore(self.redis, KEYS, republish_after_s=5, clock=TEST_CLOCK)
        self.batches = BatchStore(
            self.redis,
            KEYS,
            republish_after_s=5,
            clock=TEST_CLOCK,
            monotonic=lambda: self.clock.ms / 1000,
            wall_clock=lambda: self.clock.ms / 1000,
        )
        self.messages: list[int] = []
        # Rows that may have been sent: begun, and not settled as surely unsent.
        self.sent: set[tuple[int, int]] = set()
        self.people = 0
        # Until when a batch is another worker's.
        self.leased_until: dict[int, int] = {}
        self.store.create(
            CAMPAIGN,
            {
                "name": "spring",
                "options": OPTIONS,
                "on_unknown": "resend" if self.resend else "hold",
                "max_attempts": 3,
                "in_flight_limit": 3,
                "max_in_flight": 3,
                "pause_after_errors": 6,
                "pause_above_error_share": 0,
                "deadline": "",
            },
        )
        for size in sizes:
            self.add(size)
        if started:
            self.store.start(CAMPAIGN, None)
            self.feed()

    def teardown(self) -> None:
        if hasattr(self, "redis"):
            self.run_to_the_end()
            self.redis.close()

    # Acts of operators

    @rule(size=st.integers(1, 6))
    @precondition(lambda self: self.status() not in {Status.CANCELLING, Status.CANCELLED} and self.people < 40)
    def add(self, size: int) -> None:
        marks = [number.to_bytes(8, "big") for number in range(self.people, self.people + size)]
        batch = int(self.store.record(CAMPAIGN)["batches"])
        for _ in range(2):
            assert self.store.append(CAMPAIGN, batch, f"rows {batch}", marks) == "added"
        self.people += size

    @rule()
    def start(self) -> None:
        self.operate(lambda: self.store.start(CAMPAIGN, None))

    @rule()
    def pause(self) -> None:
        self.operate(lambda: self.store.pause(CAMPAIGN))

    @rule()
    def resume(self) -> None:
        self.operate(lambda: self.store.resume(CAMPAIGN, None))

    @rule(sure=st.integers(0, 9))
    def cancel(self, sure: int) -> None:
        if sure == 0:
            self.operate(lambda: self.store.cancel(CAMPAIGN))
            self.store.close(CAMPAIGN)

    @rule(
        states=st.sets(st.sampled_from([State.REJECTED, State.UNKNOWN, State.EXHAUSTED, State.CANCELLED]), min_size=1)
    )
    def retry(self, states: set[State]) -> None:
        chars = {state: char for char, state in STATES.items()}
        wanted = bytes(chars[state] for state in states)
        rows = {place for place, state in self.rows().items() if state in states}
        try:
            counted = self.store.retry(CAMPAIGN, wanted, b"", dry_run=True)
            matched = self.store.retry(CAMPAIGN, wanted, b"", dry_run=False)
        except CampaignConflict:
            return
        assert sum(matched.values()) == len(rows)
        assert counted == matched
        # A retry asks for a second message.
        self.sent -= rows

    def operate(self, call: Any) -> None:
        """An operator's call, twice: redis-py repeats a call whose reply was lost."""
        try:
            call()
            call()
        except CampaignConflict:
            return

    # Events of the queue

    @rule()
    def feed(self) -> None:
        self.messages += [batch for batch, _ in self.store.feed(CAMPAIGN)]

    @rule(data=st.data())
    @precondition(lambda self: self.messages)
    def lose_a_message(self, data: st.DataObject) -> None:
        self.messages.pop(data.draw(st.integers(0, len(self.messages) - 1)))

    @rule(data=st.data())
    @precondition(lambda self: self.messages)
    def double_a_message(self, data: st.DataObject) -> None:
        self.messages.append(data.draw(st.sampled_from(self.messages)))

    @rule(seconds=st.sampled_from([0.5, 3, 10, 25]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        closing = self.store.sweep(CAMPAIGN)[3]
        if closing:
            self.store.close(CAMPAIGN)
        self.feed()

    # Steps of workers

    @rule(target=workers, data=st.data())
    def take_a_message(self, data: st.DataObject) -> Worker:
        batch = 0
        if not self.messages:
            self.feed()
        if self.messages:
            batch = self.messages.pop(data.draw(st.integers(0, len(self.messages) - 1)))
        worker = Worker(Claim(CAMPAIGN, batch, uuid.uuid4().hex))
        answer = self.batches.claim(worker.claim, LEASE_S)
        again = self.batches.claim(worker.claim, LEASE_S)
        worker.lost = not isinstance(answer, Claimed)
        if isinstance(answer, Claimed):
            assert again == answer
            assert self.leased_until.get(batch, 0) <= self.clock.ms, "a leased batch was leased again"
            self.lease(batch)
        return worker

    @rule(
        worker=workers, data=st.data(), wants=st.lists(st.integers(0, 4), min_size=1, max_size=3), repeat=st.booleans()
    )
    def step(self, worker: Worker, data: st.DataObject, wants: list[int], repeat: bool) -> None:  # noqa: FBT001 - as above
        for want in wants:
            self.settle_and_begin(worker, [data.draw(OUTCOMES) for _ in worker.begun], want, repeat=repeat)

    def lease(self, batch: int) -> None:
        self.leased_until[batch] = self.clock.ms + int(LEASE_S * 1000)

    @rule(worker=workers)
    def repeat_the_last_step(self, worker: Worker) -> None:
        """However late the repetition comes, it gives the same answer, or none because the lease is gone."""
        if worker.last is None:
            return
        before = self.rows()
        answer = self.batches.step(worker.claim, **worker.last)
        assert answer == worker.last_answer or isinstance(answer, Lost)
        assert self.rows() == before

    @rule(worker=workers, wait=st.sampled_from([0.0, 4.0]))
    def give_back(self, worker: Worker, wait: float) -> None:
        if worker.begun:
            self.settle_and_begin(worker, [State.ACCEPTED] * len(worker.begun), 0, repeat=False)
        picked = self.batches.release(worker.claim, wait_s=wait)
        if picked is not None:
            self.leased_until.pop(worker.claim.batch)
        assert self.batches.release(worker.claim, wait_s=wait) is None
        self.messages += [batch for batch, _ in picked or ()]
        worker.lost = True
        worker.begun = []

    def settle_and_begin(self, worker: Worker, outcomes: list[State], want: int, *, repeat: bool) -> None:
        settlements = [_settlement(row, state) for row, state in zip(worker.begun, outcomes, strict=True)]
        worker.seq += 1
        worker.last = {
            "seq": worker.seq,
            "lease_s": LEASE_S,
            "source": SOURCE,
            "settlements": settlements,
            "readings": [_reading(worker.tickets, self.clock.ms / 1000)] if worker.tickets else [],
            "cursor": worker.cursor,
            "want": want,
        }
        before = self.rows()
        answer = worker.last_answer = self.batches.step(worker.claim, **worker.last)
        if repeat:
            assert self.batches.step(worker.claim, **worker.last) == answer
        if isinstance(answer, Lost):
            # A worker that was fenced off changes nothing, whatever it says.
            assert self.rows() == before
            worker.begun = []
            return
        assert not worker.lost
        self.lease(worker.claim.batch)
        for row, state in zip(worker.begun, outcomes, strict=True):
            if state in UNSENT:
                self.sent.discard((worker.claim.batch, row))
        worker.begun = []
        if isinstance(answer, Begun):
            worker.begun = list(answer.rows)
            worker.tickets = answer.first_ticket
            worker.cursor = worker.begun[-1] + 1
            places = {(worker.claim.batch, row) for row in worker.begun}
            if not self.resend:
                assert not places & self.sent, "a row that may have been sent was begun again"
            self.sent |= places

    # Invariants

    @invariant()
    def counts_are_what_the_rows_say(self) -> None:
        if not hasattr(self, "redis"):
            return
        record = self.store.record(CAMPAIGN)
        campaign = campaign_of(CAMPAIGN, record)
        rows = self.rows()
        assert_adds_up(campaign)
        assert campaign.total == len(rows) == self.people
        for state in State:
            assert campaign.counts[state] == sum(1 for found in rows.values() if found is state)
        assert {key: number for key, number in campaign.reasons.items() if number} == self.reasons()

    @invariant()
    def the_window_counts_what_is_leased_and_has_a_call_out(self) -> None:
        if not hasattr(self, "redis"):
            return
        record = self.store.record(CAMPAIGN)
        held: list[Any] = [
            self.redis.hmget(KEYS.batch(CAMPAIGN, batch), "token", "states") for batch in range(int(record["batches"]))
        ]
        leased = {str(batch).encode() for batch, (token, _) in enumerate(held) if token is not None}
        assert set(self.redis.zrange(KEYS.held(CAMPAIGN), 0, -1)) == leased

    @invariant()
    def no_more_than_the_window_is_out(self) -> None:
        if hasattr(self, "redis"):
            assert self.redis.zcard(f"gatepost:campaign:{CAMPAIGN}:out") <= 4 + self.people

    def rows(self) -> dict[tuple[int, int], State]:
        found = {}
        for batch in range(int(self.store.record(CAMPAIGN)["batches"])):
            states: Any = self.redis.hget(KEYS.batch(CAMPAIGN, batch), "states") or b""
            found.update({(batch, row): STATES[char] for row, char in enumerate(states)})
        return found

    def reasons(self) -> dict[tuple[State, Reason], int]:
        found: dict[tuple[State, Reason], int] = {}
        for batch in range(int(self.store.record(CAMPAIGN)["batches"])):
            stored: list[Any] = self.redis.hmget(KEYS.batch(CAMPAIGN, batch), "states", "details")
            states, details = stored
            records = unpack_records(details or b"")
            for row, char in enumerate(states):
                state = STATES[char]
                record = records.get(row)
                reason = (record and record.reason) or IMPLIED.get(state)
                if state.is_terminal and state is not State.ACCEPTED and reason is not None:
                    found[state, reason] = found.get((state, reason), 0) + 1
        return found

    def status(self) -> Status:
        return Status(self.store.record(CAMPAIGN)["status"])

    def run_to_the_end(self) -> None:
        """Whatever happened before: with the reconciler and one worker every row gets its final state."""
        self.operate(lambda: self.store.start(CAMPAIGN, None))
        for _ in range(200):
            if self.status() is Status.PAUSED:
                self.store.resume(CAMPAIGN, None)
            if self.status() in {Status.FINISHED, Status.CANCELLED}:
                break
            self.clock.advance(30)
            self.sweep()
            while self.messages:
                self.work_off(Worker(Claim(CAMPAIGN, self.messages.pop(), uuid.uuid4().hex)))
        assert self.status() in {Status.FINISHED, Status.CANCELLED}
        assert all(state.is_terminal for state in self.rows().values())
        self.counts_are_what_the_rows_say()

    def work_off(self, worker: Worker) -> None:
        if not isinstance(self.batches.claim(worker.claim, LEASE_S), Claimed):
            return
        while True:
            self.settle_and_begin(worker, [State.ACCEPTED] * len(worker.begun), 8, repeat=False)
            if isinstance(worker.last_answer, NoRowLeft | Stopped | Lost):
                break
            if not worker.begun:
                self.clock.advance(1)
        self.batches.release(worker.claim)
        self.leased_until.pop(worker.claim.batch)


class ResendingInterleavings(Interleavings):
    """The same for a campaign that sends again what may have been sent."""

    resend = True


def _settlement(row: int, state: State) -> Settlement:
    reason = REASON_OF.get(state)
    mark = Mark.FAILED if reason else Mark.PLAIN
    attempts = 0 if state in UNSENT else 1
    return Settlement(row, state, mark, reason, 400 if reason else 200, attempts, EPOCH_MS // 1000)


def _reading(ticket: int, now: float) -> Reading:
    limits = RateLimits(limit=100_000, remaining=90_000, reset_epoch_s=now + 1, sent_at=now, received_at=now)
    return Reading(ticket=ticket, limits=limits)


PROFILE = settings(
    max_examples=examples(40),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def test_any_interleaving_keeps_the_sums_and_sends_nobody_twice(valkey: EmbeddedValkey) -> None:
    """A campaign that does not repeat unknown sends."""
    Interleavings.url = valkey.url
    run_state_machine_as_test(Interleavings, settings=PROFILE)


def test_any_interleaving_of_a_resending_campaign_keeps_the_sums(valkey: EmbeddedValkey) -> None:
    """A campaign that repeats unknown sends."""
    ResendingInterleavings.url = valkey.url
    run_state_machine_as_test(ResendingInterleavings, settings=PROFILE)
