"""Calls of the ledger that only tests make: one operation, and an attempt without the limiter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_core.ledger.values import Verdict, answer_of

if TYPE_CHECKING:
    from gatepost_core.ledger import Ledger
    from gatepost_core.ledger.values import Answer, NewOperation


def record_one(ledger: Ledger, new: NewOperation) -> str:
    """Record an operation, and return its id."""
    (recorded,) = ledger.record_many([new]).operations
    if isinstance(recorded, str):
        return recorded
    raise recorded


def begin_attempt(ledger: Ledger, operation_id: str, attempt: str, lease_s: float) -> Answer:
    """Mark an attempt, as a worker does with the permit of the limiter."""
    begun = answer_of(ledger.start("begin", operation_id, attempt, int(lease_s * 1000)))
    if begun.verdict is Verdict.BEGUN:
        ledger.require_replicas(operation_id, attempt)
    return begun
