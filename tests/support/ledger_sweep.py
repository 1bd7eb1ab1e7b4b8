"""The sweep of one operation, as if its queue were empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_core.kinds import Queue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost_core.ledger import Ledger
    from gatepost_core.ledger.values import Answer


def swept(ledger: Ledger, operation_id: str, *, drained: Iterable[Queue] = tuple(Queue)) -> Answer:
    """Return the sweep's answer for one operation, in a run that begins now."""
    return ledger.sweep([operation_id], drained=drained, since_ms=ledger.now_ms() + 1)[operation_id]
