"""A ledger in memory, with the calls that a `Producer` and its handles make."""

from __future__ import annotations

import hmac
import threading
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatepost_core.errors import (
    Absence,
    GatepostError,
    IdempotencyConflict,
    NotFinished,
    NothingToRedeem,
    OperationNotFound,
    ProducerClosed,
    WrongRedeemToken,
)
from gatepost_core.ledger.values import Answer, Recorded, Verdict, past_deadline
from gatepost_core.outcomes import Outcome
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost.waits import Wait
    from gatepost_core.ledger.values import NewOperation
    from gatepost_core.reasons import Reason


@dataclass(slots=True)
class Record:
    """One operation.

    Attributes:
        new: the operation as it was recorded.
        outcome: its outcome so far.
        result: the sealed result of a login, until it is redeemed.
        redeemed_at: when it was redeemed.
    """

    new: NewOperation
    outcome: Outcome
    result: str | None = None
    redeemed_at: datetime | None = None


@dataclass(slots=True)
class Owner:
    """The part of a producer's client that a wait uses: whether the producer is open."""

    closed: bool = False

    def require_open(self) -> None:
        """Raise `ProducerClosed` if it is closed."""
        if self.closed:
            raise ProducerClosed


@dataclass(slots=True)
class MemoryLedger:
    """Records operations and their ends. Thread-safe.

    Attributes:
        owner: refuses calls after the producer was closed.
    """

    owner: Owner = field(default_factory=Owner)
    _records: dict[str, Record] = field(default_factory=dict)
    _by_key: dict[str, str] = field(default_factory=dict)
    _waits: dict[str, list[Wait]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def record(self, new: NewOperation) -> str:
        """Record an operation and return its id. A known idempotency key returns the id of the earlier operation."""
        self.owner.require_open()
        with self._lock:
            key = new.idempotency_fingerprint
            if key and key in self._by_key:
                earlier = self._by_key[key]
                if self._records[earlier].new.payload_fingerprint != new.payload_fingerprint:
                    raise IdempotencyConflict
                return earlier
            now = datetime.now(UTC)
            if new.refused_late and new.deadline <= now:
                raise past_deadline()
            if key and new.deadline > now:
                self._by_key[key] = new.operation_id
            self._records[new.operation_id] = Record(
                new,
                Outcome(
                    new.operation_id, new.kind, State.QUEUED, created_at=now, updated_at=now, deadline=new.deadline
                ),
            )
            return new.operation_id

    def record_many(self, operations: Sequence[NewOperation]) -> Recorded:
        """Record operations, and return for each what `record` returns or raises."""
        return Recorded([_or_error(self.record, new) for new in operations])

    def unpublished(self, operation_id: str) -> None:
        """Nothing follows: no message is lost in memory."""

    def outcome(self, operation_id: str) -> Outcome:
        """Return an operation's outcome so far.

        Raises:
            OperationNotFound: it was never recorded.
        """
        return self.found(operation_id).outcome

    def found(self, operation_id: str) -> Record:
        """Return an operation's record. Raises as `outcome` does."""
        self.owner.require_open()
        with self._lock:
            if operation_id not in self._records:
                raise OperationNotFound
            return self._records[operation_id]

    def sealed_result(self, operation_id: str) -> str | None:
        """Return the sealed result, unless it has been redeemed."""
        return self.found(operation_id).result

    def redeem(self, operation_id: str, digest: str) -> str:
        """Take the sealed result of a login, once. Arguments and errors are those of `Ledger.redeem`."""
        with self._lock:
            record = self.found(operation_id)
            if not record.new.redeem_digest:
                raise NothingToRedeem(Absence.NOT_A_LOGIN)
            if not hmac.compare_digest(digest, record.new.redeem_digest):
                raise WrongRedeemToken
            if not record.outcome.state.is_terminal:
                raise NotFinished
            if record.redeemed_at is not None:
                raise NothingToRedeem(Absence.REDEEMED, record.redeemed_at)
            if record.result is None:
                raise NothingToRedeem(Absence.EXPIRED)
            sealed, record.result, record.redeemed_at = record.result, None, datetime.now(UTC)
        return sealed

    def close(self, operation_id: str, state: State, reason: Reason) -> Answer:
        """End an operation, unless it has ended."""
        with self._lock:
            if not self.found(operation_id).outcome.state.is_terminal:
                self.settle(operation_id, state, reason)
            outcome = self._records[operation_id].outcome
        return Answer(Verdict.FINISHED, state=outcome.state, reason=outcome.reason)

    def settle(
        self,
        operation_id: str,
        state: State,
        reason: Reason | None = None,
        *,
        attempts: int = 0,
        detail: str | None = None,
        result: str | None = None,
    ) -> None:
        """End an operation and tell those that wait."""
        with self._lock:
            record = self.found(operation_id)
            record.outcome = replace(
                record.outcome,
                state=state,
                reason=reason,
                detail=detail,
                attempts=record.outcome.attempts + attempts,
                updated_at=datetime.now(UTC),
            )
            record.result = result
            waits = self._waits.pop(operation_id, [])
        for wait in waits:
            wait.tell(record.outcome)

    def join(self, wait: Wait) -> None:
        """Add a wait. It gets the final outcome, or an error."""
        with self._lock:
            wait.owner.require_open()
            try:
                outcome = self.outcome(wait.operation_id)
            except OperationNotFound as failure:
                wait.tell(failure)
                return
            if not outcome.state.is_terminal:
                self._waits[wait.operation_id].append(wait)
                return
        wait.tell(outcome)

    def leave(self, wait: Wait) -> None:
        """Remove a wait, unless it has got its outcome."""
        with self._lock:
            waits = self._waits.get(wait.operation_id, [])
            if wait in waits:
                waits.remove(wait)

    def end(self) -> None:
        """End all waits and refuse further calls."""
        with self._lock:
            self.owner.closed = True
            waits = [wait for waits in self._waits.values() for wait in waits]
            self._waits.clear()
        for wait in waits:
            wait.tell(ProducerClosed())


@dataclass(slots=True)
class MemoryLease:
    """The waits of handles."""

    ledger: MemoryLedger

    @property
    def client(self) -> Owner:
        """The owner of the waits."""
        return self.ledger.owner

    @property
    def waits(self) -> MemoryLedger:
        """The waits, which the ledger keeps."""
        return self.ledger

    def close(self) -> None:
        """End all waits."""
        self.ledger.end()


def _or_error(record: Callable[[NewOperation], str], new: NewOperation) -> str | GatepostError:
    try:
        return record(new)
    except GatepostError as failure:
        return failure
