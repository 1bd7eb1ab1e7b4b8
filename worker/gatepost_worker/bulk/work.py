"""Sends the rows of one leased batch for a bounded time: begin, send, settle, give back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from gatepost_core.campaigns.batch import BATCH_ROWS
from gatepost_core.campaigns.wire_format import STATES, Record, unpack_records
from gatepost_core.errors import CampaignNotFound, Unavailable
from gatepost_core.redis.replication import AWAY_S as REPLICAS_AWAY_S
from gatepost_core.states import State
from gatepost_worker.authentication.boundary import bare
from gatepost_worker.bulk.attempt_log import AttemptLog
from gatepost_worker.bulk.calls import UnderWay
from gatepost_worker.bulk.step_counts import StepCounts
from gatepost_worker.bulk.store import Begun, Full, Lost, NoRowLeft, Waiting
from gatepost_worker.delivery.policy import REFUSED_CREDENTIAL, SLEEP_IN_SLOT
from gatepost_worker.limiter import WaitReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_core.campaigns.model import Options
    from gatepost_core.campaigns.row import Row
    from gatepost_worker.bulk.calls import Carrier
    from gatepost_worker.bulk.lease import Lease
    from gatepost_worker.bulk.sending import Sender, Sent
    from gatepost_worker.bulk.store import Claimed, PermitSource, Settlement
    from gatepost_worker.bulk.tools import Tools
    from gatepost_worker.limiter import Reading

_log = structlog.stdlib.get_logger("gatepost.worker")

RUN_FOR_S: Final = 10.0
"""How long one task begins rows of a batch, at least, before it reads options and lists again. If all threads are busy, the batch
returns to the campaign's waiting batches."""
SPREAD_RUNS: Final = 8
"""Batches stop after times that differ, up to twice as long, so that not all wait for their last answers at once."""
SLOT_S: Final = SLEEP_IN_SLOT.total_seconds()
"""The longest wait that occupies a worker's slot."""
RENEW_S: Final = 1.0
"""The lease is renewed at least as often, and the campaign's status read."""
BLOCKED_WAIT_S: Final = 30.0
"""How long a batch waits after a worker lacked a key, a tenant or memory, or while Redis is full."""
LOOKS_AGAIN_S: Final = 60.0
"""The longest rest of a campaign for its rate or for a 429's block: an operator may change either in the meantime."""
_NO_SLOT_S: Final = 0.02
_NO_OUTCOME_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Leaving:
    """Nothing more begins. The batch and the campaign rest until then, by the monotonic clock; 0 for as long as rows and hours say."""

    waits_until: float = 0.0
    rests_until: float = 0.0


class Unmade(Exception):
    """No request could be made of a row."""

    def __init__(self, failure: BaseException) -> None:
        super().__init__()
        self.failure = failure


class BatchWork:
    """One task's work on one batch.

    Its thread does everything but the calls themselves: it settles the rows whose outcomes have come in, begins others, and hands their
    calls to the carrier, all in steps of one Redis call.
    """

    def __init__(
        self,
        tools: Tools,
        lease: Lease,
        *,
        claimed: Claimed,
        rows: Sequence[Row],
        options: Options,
        sender: Sender,
        carrier: Carrier,
        source: PermitSource,
        longest_call_s: float,
    ) -> None:
        self._tools = tools
        self._campaign_id = lease.claim.campaign_id
        self._batch = lease.claim.batch
        self._lease = lease
        self._claimed = claimed
        self._rows = rows
        # The rows with fields beside the recipient.
        self._own = frozenset(number for number, row in enumerate(rows) if not row.is_plain)
        self._options = options
        self._sender = sender
        self._carrier = carrier
        self._source = source
        self._longest_call_s = longest_call_s
        self._under_way = UnderWay(partial(carrier.slots.give_back, self._campaign_id))
        self._records: dict[int, Record] = unpack_records(claimed.details)
        self._started = self._stepped_at = tools.monotonic()
        self._until = self._started + self._run_for_s
        self._closes_at = None if options.hours is None else options.hours.closes_at(lease.now())
        self._cursor = 0
        # Whether no row from the cursor on is left.
        self._exhausted = False
        # When to ask for permits again, and when postponed rows may be begun again, by the monotonic clock; 0 if there are none.
        self._ask_at = self._due = 0.0
        # When the last call under way must have ended.
        self._ends_by = 0.0
        self._unsent: list[Settlement] = []
        # How long the batch and the campaign wait, once nothing more is begun.
        self._leaving: Leaving | None = None
        self._ended: Counter[State] = Counter()
        self._counts = StepCounts(tools.metrics, source.key)
        self._log = AttemptLog(f"{self._campaign_id}:{self._batch}", options.tenant, tools.fingerprints)

    @property
    def _run_for_s(self) -> float:
        return RUN_FOR_S * (1 + self._batch % SPREAD_RUNS / SPREAD_RUNS)

    def run(self) -> Counter[State] | None:
        """Send rows and give the batch back; return how many reached each final state, or None if the lease was lost.

        Raises:
            Unavailable: Redis did not answer for as long as the lease lasts.
        """
        rest_s = self._opens_in_s()
        if rest_s > 0:
            self._give_back(rest_s, rest_s)
            return self._ended
        if not self._screen():
            return None
        if not self._send_all():
            _log.warning("batch.lease_lost", campaign_id=self._campaign_id, batch=self._batch)
            return None
        wait_s, rest_s = self._waits()
        self._give_back(wait_s, rest_s)
        _log.info(
            "batch.finished",
            campaign_id=self._campaign_id,
            batch=self._batch,
            tenant=self._options.tenant,
            states={state.value: number for state, number in self._ended.items()},
            wait_ms=int(wait_s * 1000),
            total_ms=int((self._tools.monotonic() - self._started) * 1000),
        )
        return self._ended

    def _opens_in_s(self) -> float:
        now = self._lease.now()
        return (self._options.opens_at(now) - now).total_seconds()

    def _screen(self) -> bool:
        guests = self._options.guests
        rows = [row for row, char in enumerate(self._claimed.states) if not STATES[char].is_terminal]
        # A retry reopens an erased row, and the suppression list has no entry for its placeholder.
        erased = {row for row in rows if self._rows[row].erased}
        if not self._claimed.suppressed and not erased and guests is None:
            return True
        fingerprints, people = self._tools.fingerprints, [self._rows[row].recipient for row in rows]
        uninvited = [
            guests is not None and fingerprints.campaign(self._campaign_id, person).hex() not in guests
            for person in people
        ]
        states = self._lease.screen(rows, list(map(fingerprints.suppression, people)), uninvited, erased)
        if states is not None:
            self._counts.screened(self._claimed.states, states)
        return states is not None

    def _send_all(self) -> bool:
        """Settle and begin rows, step by step, until none is under way and none may begin; return whether the lease was kept."""
        while True:
            outcomes = self._under_way.wait(self._next_event_in_s()) if self._under_way else []
            if not outcomes and self._under_way and self._tools.monotonic() > self._ends_by:
                outcomes = self._under_way.give_up()
            settlements, readings = self._settle(outcomes)
            if self._leaving is None and self._must_stop():
                self._leaving = Leaving()
            taken = self._slots()
            if not (settlements or taken or self._is_renewal_due()):
                if not self._under_way and self._leaving is not None:
                    return True
                if not self._under_way:
                    self._tools.sleep(self._next_event_in_s())
                continue
            if not self._step(settlements, readings, taken):
                return False
            if not self._under_way and not self._unsent and self._leaving is not None:
                return True

    def _step(self, settlements: Sequence[Settlement], readings: Sequence[Reading], taken: int) -> bool:
        """Make one step with the slots that were taken, and give back those that it did not need."""
        used = 0
        try:
            step = self._lease.step(self._source, settlements, readings, cursor=self._cursor, want=taken)
            self._stepped_at = self._tools.monotonic()
            if isinstance(step, Begun):
                used = len(step.rows)
        finally:
            if taken > used:
                self._carrier.slots.give_back(self._campaign_id, taken - used)
        if isinstance(step, Waiting):
            self._counts.waits(step.seconds)
        match step:
            case Begun():
                self._begin(step)
            case Waiting(seconds=seconds, reason=reason) if seconds <= SLOT_S:
                # The limiter spreads the waits of many callers; a campaign's batches are few, so one asks twice as often.
                self._ask_at = self._stepped_at + (seconds / 2 if reason == WaitReason.LEVEL else seconds)
            case Waiting(seconds=seconds, reason=reason):
                may_change = reason in {WaitReason.CEILING, WaitReason.BLOCKED}
                self._leave(min(seconds, LOOKS_AGAIN_S) if may_change else seconds)
            case NoRowLeft():
                self._exhausted = self._exhausted or taken > 0
                self._leave_if_idle()
            case Full():
                self._leave(BLOCKED_WAIT_S)
            case Lost():
                return False
            case _:
                self._leaving = self._leaving or Leaving()
        return True

    def _begin(self, begun: Begun) -> None:
        """Send the rows that have begun. Put them back if no replica has their begin, or if the lease is too short for their calls."""
        self._cursor = begun.rows[-1] + 1
        now = self._tools.monotonic()
        if not self._is_replicated():
            # Give the batch back for a while.
            _log.warning("batch.not_replicated", campaign_id=self._campaign_id, batch=self._batch)
            self._due, self._until = now + REPLICAS_AWAY_S, now
            self._put_back(begun.rows)
        elif self._lease.left_s() < self._longest_call_s + SLOT_S:
            # The step's answer was late: the calls could outlast the lease.
            self._put_back(begun.rows)
        else:
            self._send(begun)
            self._ends_by = self._tools.monotonic() + self._longest_call_s + _NO_OUTCOME_S
        self._feed()

    def _is_replicated(self) -> bool:
        try:
            return self._tools.replicated(*self._lease.written)
        except Unavailable:
            return False

    def _put_back(self, rows: Sequence[int]) -> None:
        self._carrier.slots.give_back(self._campaign_id, len(rows))
        self._cursor = min(self._cursor, rows[0])
        self._unsent += [self._sender.unsent(row, self._records.get(row)) for row in rows]

    def _send(self, begun: Begun) -> None:
        prepared = []
        self._sender.begin(begun.rows)
        for ticket, row in enumerate(begun.rows, begun.first_ticket):
            done = self._under_way.add(row, ticket)
            try:
                one = self._carrier.prepare(self._sender, self._rows[row], done, plain=row not in self._own)
                prepared.append(one)
            except Exception as failure:  # noqa: BLE001 - an error in our own code can be of any class
                done(Unmade(bare(failure)))
        self._carrier.send(prepared)

    def _settle(self, outcomes: Sequence[tuple[int, int, Any]]) -> tuple[list[Settlement], list[Reading]]:
        settlements, readings, failed = self._unsent, [], 0
        self._unsent = []
        for row, ticket, outcome in outcomes:
            record = self._records.get(row)
            if isinstance(outcome, Unmade):
                result = self._sender.unmade(row, self._rows[row], record, outcome.failure)
            else:
                result = self._sender.settle(row, self._rows[row], ticket, record, outcome)
            settlements.append(result.settlement)
            if result.reading is not None:
                readings.append(result.reading)
            if result.settlement.state is State.ACCEPTED:
                self._ended[State.ACCEPTED] += 1
                self._counts.accepted(self._rows[row].kind)
                if record is not None:
                    self._keep(result.settlement)
                if self._log.logs_successes:
                    self._log.write(self._rows[row], result)
            else:
                failed += 1
                self._counts.failed(self._rows[row].kind, result)
                self._note_failure(result)
        if outcomes:
            self._carrier.slots.learn(self._campaign_id, succeeded=len(outcomes) - failed, failed=failed)
            self._counts.record(readings)
        return settlements, readings

    def _note_failure(self, result: Sent) -> None:
        now, settled = self._tools.monotonic(), result.settlement
        if result.wait is not None:
            self._due = max(self._due, now + result.wait.total_seconds())
            if result.failure is not None and result.failure.cause in REFUSED_CREDENTIAL:
                # Other rows would be refused too.
                self._ask_at = max(self._ask_at, self._due)
        if settled.state.is_terminal:
            self._ended[settled.state] += 1
        if isinstance(result.unforeseen, MemoryError):
            self._due, self._until = now + BLOCKED_WAIT_S, now
        self._keep(settled)
        self._log.write(self._rows[settled.row], result)

    def _keep(self, settled: Settlement) -> None:
        self._records[settled.row] = Record(
            settled.row, settled.reason, settled.http_status, settled.attempts, settled.at_s
        )

    def _slots(self) -> int:
        """Take slots for rows that may begin now."""
        now = self._tools.monotonic()
        if self._exhausted and self._due and now >= self._due:
            self._cursor, self._due, self._exhausted = 0, 0.0, False
        if self._leaving is not None or self._unsent or self._exhausted or now < self._ask_at:
            return 0
        return self._carrier.slots.take(self._campaign_id, BATCH_ROWS - len(self._under_way))

    def _must_stop(self) -> bool:
        tools = self._tools
        closed = self._closes_at is not None and self._lease.now() >= self._closes_at
        return closed or tools.stopping() or (tools.monotonic() >= self._until and not self._may_stay())

    def _may_stay(self) -> bool:
        """Read options and lists again; return whether the batch may go on, so that no quota is lost until its last answers have come."""
        if len(self._tools.running) >= self._tools.threads:
            return False
        try:
            claimed = self._lease.read_again()
            if claimed is None or not claimed.has_options_of(self._claimed):
                return False
            self._claimed = claimed
            stays = self._screen()
        except Unavailable:
            return False
        self._until = self._tools.monotonic() + self._run_for_s
        return stays

    def _leave(self, rest_s: float) -> None:
        now = self._tools.monotonic()
        self._leaving = self._leaving or Leaving(now + rest_s, now + rest_s)

    def _leave_if_idle(self) -> None:
        """Leave when no row is left but those that were postponed for long."""
        waits = self._under_way or self._unsent or (self._due and self._retry_in_s() <= SLOT_S)
        if self._exhausted and not waits:
            self._leaving = self._leaving or Leaving()

    def _waits(self) -> tuple[float, float]:
        """Return how long the batch and the campaign wait, in seconds."""
        leaving, now = self._leaving or Leaving(), self._tools.monotonic()
        if leaving.rests_until:
            return max(leaving.waits_until - now, self._retry_in_s(), 0.0), max(leaving.rests_until - now, 0.0)
        return self._retry_in_s(), max(self._opens_in_s(), 0.0)

    def _retry_in_s(self) -> float:
        return max(self._due - self._tools.monotonic(), 0.0) if self._due else 0.0

    def _is_renewal_due(self) -> bool:
        return self._tools.monotonic() - self._stepped_at >= RENEW_S

    def _next_event_in_s(self) -> float:
        """Return how long nothing is to be done, unless outcomes come in."""
        now = self._tools.monotonic()
        at = self._stepped_at + RENEW_S
        if self._leaving is None and not self._unsent:
            if self._exhausted:
                at = min(at, self._due) if self._due else at
            else:
                at = min(at, self._ask_at if self._ask_at > now else now + _NO_SLOT_S)
        return max(at - now, 0.0)

    def _feed(self) -> None:
        if not self._tools.schedule.is_due(self._campaign_id):
            return
        try:
            self._tools.publisher.feed(self._campaign_id)
        except (Unavailable, CampaignNotFound):
            _log.warning("batch.window_unchanged", campaign_id=self._campaign_id)

    def _give_back(self, wait_s: float, rest_s: float) -> None:
        picked = self._lease.give_back(wait_s=wait_s, rest_s=rest_s)
        if picked is not None:
            self._publish(picked)

    def _publish(self, picked: Sequence[tuple[int, float]]) -> None:
        if picked:
            self._tools.publisher.publish(self._campaign_id, picked)
