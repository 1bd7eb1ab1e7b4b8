"""Attempts that begin step by step, so that a test decides what the limiter answers between the steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gatepost_core.ledger.values import Answer, Operation, Verdict
from gatepost_worker.delivery.attempts import Begun, PermitWait
from gatepost_worker.delivery.policy import LONGEST_HOP
from gatepost_worker.limiter import LimiterKey, Permit
from support.ledger_calls import begin_attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_core.ledger import Ledger
    from gatepost_worker.delivery.attempts import Opened

LEASE_S = 20.0


@dataclass
class HeldAttempts:
    """The same as `Attempts`, with a real ledger and a limiter that the test holds."""

    ledger: Ledger
    limiter: Any

    def open(
        self,
        operation_id: str,
        attempt: str,
        *,
        patience: timedelta,
        delivered: bool = False,
        checked: Operation | None = None,
    ) -> Opened:
        operation = self.ledger.ready(operation_id, delivered=delivered)
        if isinstance(operation, Answer) or checked is None:
            return operation
        key = LimiterKey(operation.tenant, operation.kind.endpoint)
        permit = self.limiter.acquire(key, operation.kind.lane)
        if not isinstance(permit, Permit):
            wait = timedelta(seconds=permit.seconds)
            if wait <= patience:
                return PermitWait(wait)
            hop = min(wait, LONGEST_HOP)
            self.ledger.postpone(operation_id, hop.total_seconds(), free=True)
            return Answer(Verdict.EARLY, wait_ms=int(1000 * hop.total_seconds()))
        begun = begin_attempt(self.ledger, operation_id, attempt, LEASE_S)
        if begun.verdict is not Verdict.BEGUN:
            return begun
        return Begun(operation, begun.attempts, timedelta(milliseconds=begun.left_ms), begun.doubt, permit.first_ticket)

    def settle(self, operation: Operation, attempt: str, *, readings: Sequence[Any] = (), **end: Any) -> Answer:
        self._observe(operation, readings)
        return self.ledger.settle(operation.operation_id, attempt, **end)

    def postpone(
        self,
        operation: Operation,
        wait: timedelta,
        attempt: str = "",
        *,
        readings: Sequence[Any] = (),
        **options: Any,
    ) -> Answer:
        self._observe(operation, readings)
        return self.ledger.postpone(operation.operation_id, wait.total_seconds(), attempt=attempt, **options)

    def _observe(self, operation: Operation, readings: Sequence[Any]) -> None:
        if readings:
            self.limiter.observe(LimiterKey(operation.tenant, operation.kind.endpoint), readings)
