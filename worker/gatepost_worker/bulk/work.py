"""Sends the rows of one leased batch for a bounded time: begin, send, settle, give back."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from gatepost_core.campaigns.wire_format import STATES, Record, unpack_records
from gatepost_core.error_boundary import account
from gatepost_core.errors import CampaignNotFound, Unavailable
from gatepost_core.kinds import CAMPAIGN_KINDS
from gatepost_core.redis.replication import AWAY_S as REPLICAS_AWAY_S
from gatepost_core.states import State
from gatepost_worker.bulk.batch_size import rows_at_once
from gatepost_worker.bulk.store import Begun, Full, Lost, NoRowLeft, Waiting
from gatepost_worker.delivery.policy import SLEEP_IN_SLOT
from gatepost_worker.limiter import WaitReason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from gatepost_core.campaigns.model import Options
    from gatepost_core.campaigns.publishing import BatchPublisher
    from gatepost_core.campaigns.row import Row
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_worker.bulk.batch_size import FeedSchedule
    from gatepost_worker.bulk.lease import Lease
    from gatepost_worker.bulk.sending import Sender, Sent
    from gatepost_worker.bulk.store import Claimed, PermitSource, Settlement
    from gatepost_worker.limiter import Reading

_log = structlog.stdlib.get_logger("gatepost.worker")

RUN_FOR_S: Final = 10.0
"""How long one task works on a batch; the remaining rows then return to the queue."""
SLOT_S: Final = SLEEP_IN_SLOT.total_seconds()
"""The longest wait that occupies a worker's slot."""
LONGEST_CHUNK_S: Final = 1.0
"""Rows begun together and still unsent after this time are given back."""
BLOCKED_WAIT_S: Final = 30.0
"""How long a batch waits after a worker lacked a key, a tenant or memory, or while Redis is full."""

LOOKS_AGAIN_S: Final = 60.0
"""The longest rest of a campaign for its rate or for a 429's block: an operator may change either in the meantime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the batches of a process share; see `BatchRunner`."""

    publisher: BatchPublisher
    fingerprints: Fingerprints
    schedule: FeedSchedule
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    stopping: Callable[[], bool]
    replicated: Callable[[str, Mapping[str, str]], bool]


class BatchWork:
    """One task's work on one batch."""

    def __init__(
        self,
        tools: Tools,
        lease: Lease,
        *,
        claimed: Claimed,
        rows: Sequence[Row],
        options: Options,
        sender: Sender,
        source: PermitSource,
    ) -> None:
        self._tools = tools
        self._campaign_id = lease.claim.campaign_id
        self._batch = lease.claim.batch
        self._lease = lease
        self._claimed = claimed
        self._rows = rows
        self._options = options
        self._sender = sender
        self._source = source
        self._records: dict[int, Record] = unpack_records(claimed.details)
        self._started = tools.monotonic()
        self._until = self._started + RUN_FOR_S
        self._closes_at = None if options.hours is None else options.hours.closes_at(lease.now())
        self._cursor = 0
        self._at_once = 1
        # When postponed rows may be begun again, by the monotonic clock; 0 if there are none.
        self._due = 0.0
        self._ended: Counter[State] = Counter()
        self._logs_successes = logging.getLogger("gatepost.worker").isEnabledFor(logging.DEBUG)

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
        waits = self._send_all()
        if waits is None:
            _log.warning("batch.lease_lost", campaign_id=self._campaign_id, batch=self._batch)
            return None
        self._give_back(*waits)
        seconds = self._tools.monotonic() - self._started
        _log.info(
            "batch.finished",
            campaign_id=self._campaign_id,
            batch=self._batch,
            tenant=self._options.tenant,
            states={state.value: number for state, number in self._ended.items()},
            wait_ms=int(waits[0] * 1000),
            total_ms=int(seconds * 1000),
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
        return self._lease.screen(rows, list(map(fingerprints.suppression, people)), uninvited, erased) is not None

    def _send_all(self) -> tuple[float, float] | None:
        """Send until a row must wait; return how long the batch and the campaign wait, or None if the lease was lost."""
        settlements: Sequence[Settlement] = ()
        readings: Sequence[Reading] = ()
        while True:
            want = 0 if self._must_stop() else self._at_once
            step = self._lease.step(self._source, settlements, readings, cursor=self._cursor, want=want)
            settlements, readings = (), ()
            match step:
                case Begun():
                    settlements, readings = self._send(step)
                case Waiting(seconds=seconds) if seconds <= SLOT_S:
                    self._tools.sleep(seconds)
                case Waiting(seconds=seconds, reason=reason):
                    may_change = reason in {WaitReason.CEILING, WaitReason.BLOCKED}
                    rest = min(seconds, LOOKS_AGAIN_S) if may_change else seconds
                    return max(rest, self._retry_in_s()), rest
                case NoRowLeft() if want and self._due > 0 and self._retry_in_s() <= SLOT_S:
                    self._tools.sleep(self._retry_in_s())
                    self._cursor, self._due = 0, 0.0
                case Full():
                    return BLOCKED_WAIT_S, BLOCKED_WAIT_S
                case Lost():
                    return None
                case _:
                    return self._retry_in_s(), max(self._opens_in_s(), 0.0)

    def _must_stop(self) -> bool:
        tools = self._tools
        closed = self._closes_at is not None and self._lease.now() >= self._closes_at
        return closed or tools.monotonic() >= self._until or tools.stopping()

    def _retry_in_s(self) -> float:
        return max(self._due - self._tools.monotonic(), 0.0) if self._due else 0.0

    def _send(self, begun: Begun) -> tuple[list[Settlement], list[Reading]]:
        settlements: list[Settlement] = []
        readings: list[Reading] = []
        started = self._tools.monotonic()
        self._cursor = begun.rows[-1] + 1
        sent = 0
        halted = not self._tools.replicated(*self._lease.written)
        if halted:
            # Send none of these rows, and give the batch back for a while.
            _log.warning("batch.not_replicated", campaign_id=self._campaign_id, batch=self._batch)
            self._due, self._until = started + REPLICAS_AWAY_S, started
        for ticket, row in enumerate(begun.rows, begun.first_ticket):
            if halted or (sent and self._tools.monotonic() - started > LONGEST_CHUNK_S):
                settlements.append(self._sender.unsent(row, self._records.get(row)))
                self._cursor = min(self._cursor, row)
                continue
            result = self._sender.send(row, self._rows[row], ticket, self._records.get(row))
            sent += 1
            halted = result.halts
            settlements.append(result.settlement)
            if isinstance(result.unforeseen, MemoryError):
                self._due, self._until = started + BLOCKED_WAIT_S, started
            if result.reading is not None:
                readings.append(result.reading)
            self._record(result)
        self._at_once = rows_at_once(self._at_once, self._tools.monotonic() - started)
        self._feed()
        return settlements, readings

    def _record(self, result: Sent) -> None:
        settled = result.settlement
        if result.wait is not None:
            self._due = max(self._due, self._tools.monotonic() + result.wait.total_seconds())
        if settled.state.is_terminal:
            self._ended[settled.state] += 1
        if settled.reason is not None or settled.state is not State.ACCEPTED:
            self._records[settled.row] = Record(
                settled.row, settled.reason, settled.http_status, settled.attempts, settled.at_s
            )
        if settled.state is not State.ACCEPTED or self._logs_successes:
            # The settlements must survive a failure to log.
            with suppress(Exception):
                self._log_attempt(result)

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

    def _log_attempt(self, result: Sent) -> None:
        settled, failure = result.settlement, result.failure
        if result.unforeseen is not None:
            self._log_unforeseen(settled.row, result.unforeseen)
        wait: timedelta | None = result.wait
        row = self._rows[settled.row]
        _log.log(
            logging.DEBUG if settled.state is State.ACCEPTED else logging.INFO,
            "attempt.finished",
            command=CAMPAIGN_KINDS[row.kind].value,
            tenant=self._options.tenant,
            correlation_id=f"{self._campaign_id}:{self._batch}:{settled.row}",
            recipient=self._tools.fingerprints.log(row.recipient),
            attempt=settled.attempts,
            state=settled.state.value,
            reason=settled.reason and settled.reason.value,
            auth0_code=failure and failure.code,
            http_status=settled.http_status,
            wait_ms=0 if wait is None else int(wait.total_seconds() * 1000),
        )

    def _log_unforeseen(self, row: int, failure: Exception) -> None:
        _log.error(
            "row.failed_unexpectedly",
            correlation_id=f"{self._campaign_id}:{self._batch}:{row}",
            failure=account(failure),
        )
