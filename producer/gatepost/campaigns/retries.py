"""Which recipients can be queued again, and what was found of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gatepost_core.states import State

RETRYABLE: Final = frozenset(
    {State.REJECTED, State.EXHAUSTED, State.EXPIRED, State.SUPPRESSED, State.CANCELLED, State.UNKNOWN}
)
"""The states that `retry` takes. Not `accepted`: a second message would void the first code."""


@dataclass(frozen=True, slots=True)
class Retried:
    """What `retry` found, and queued unless it only looked."""

    dry_run: bool
    by_state: dict[State, int] = field(default_factory=dict)

    @property
    def matched(self) -> int:
        """How many recipients."""
        return sum(self.by_state.values())
