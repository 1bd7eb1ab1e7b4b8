"""The demo's campaign: the file's e-mail rows under addresses of their own, sent in bulk next to the single operations."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gatepost.campaigns.importing import in_chunks
from gatepost_core.states import State
from gatepost_operations.local.demo.recipients import is_email

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.campaigns.row import Row
    from gatepost_core.reasons import Reason
    from gatepost_operations.local.demo.recipients import Recipients

# Nobody of the campaign is somebody whom a single operation writes to, so that the outbox can be counted.
_MARK: Final = "+campaign"
# Small batches, so that several are under way at once when the worker is killed.
_BATCH_ROWS: Final = 16


class DemoCampaign:
    """One campaign from its start to its end.

    Args:
        campaigns: where it is recorded.
    """

    def __init__(self, campaigns: Campaigns) -> None:
        self._campaigns = campaigns
        self._campaign_id = campaigns.create("demo")

    def start(self, people: Recipients) -> int:
        """Add everybody who has an address, start, and return how many they are."""
        for rows in in_chunks(_campaign_rows(people), _BATCH_ROWS):
            self._campaigns.add(self._campaign_id, rows)
        return self._campaigns.start(self._campaign_id).total

    def states(self) -> Counter[State]:
        """Return how many stand in each state."""
        return Counter({state: number for state, number in self._look().counts.items() if number})

    @property
    def settled(self) -> bool:
        """Whether everybody has a final state."""
        return self._look().open == 0

    def share_done(self) -> float:
        """Return the share of those who have one."""
        return self._look().share_done

    def under_way(self) -> int:
        """Return how many requests the workers have under way."""
        return self._look().counts[State.IN_FLIGHT]

    def reasons(self) -> dict[tuple[State, Reason], int]:
        """Return how many ended in a state for a reason."""
        return dict(self._look().reasons)

    def recipients(self) -> dict[str, State]:
        """Return everybody with the state that the campaign has for them."""
        return {one.row.recipient: one.state for one in self._campaigns.export(self._campaign_id)}

    def _look(self) -> Campaign:
        return self._campaigns.status(self._campaign_id)


def _campaign_rows(people: Recipients) -> Iterator[Row]:
    for row in people.valid:
        if is_email(row):
            local, _, domain = row.recipient.rpartition("@")
            yield replace(row, recipient=f"{local}{_MARK}@{domain}")
