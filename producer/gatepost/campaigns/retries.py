"""What `retry` found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost_core.states import State


@dataclass(frozen=True, slots=True)
class Retried:
    """What `retry` found, and queued unless it only looked."""

    dry_run: bool
    by_state: dict[State, int] = field(default_factory=dict)

    @property
    def matched(self) -> int:
        """How many recipients."""
        return sum(self.by_state.values())
