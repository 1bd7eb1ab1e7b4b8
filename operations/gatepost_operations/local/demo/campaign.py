"""The demo's campaign: the file's email rows under other addresses, sent in bulk beside the single operations."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gatepost.chunks import in_chunks
from gatepost_operations.local.demo.recipients import is_email

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.campaigns.row import Row
    from gatepost_core.states import State
    from gatepost_operations.local.demo.recipients import Recipients

# The campaign writes to other addresses than the single sends, so that the outbox can be counted.
_MARK: Final = "+campaign"
# Small batches, so that several are in flight when the worker is killed.
_BATCH_ROWS: Final = 16


class DemoCampaign:
    """A draft campaign in `campaigns`, which `start` fills and starts."""

    def __init__(self, campaigns: Campaigns) -> None:
        self._campaigns = campaigns
        self._campaign_id = campaigns.create("demo")

    def start(self, people: Recipients) -> int:
        """Add everyone who has an address, start the campaign, and return the number of recipients."""
        for rows in in_chunks(_campaign_rows(people), _BATCH_ROWS):
            self._campaigns.add(self._campaign_id, rows)
        return self._campaigns.start(self._campaign_id).total

    def status(self) -> Campaign:
        """Return the current state of the campaign."""
        return self._campaigns.status(self._campaign_id)

    def states(self) -> Counter[State]:
        """Return the number of recipients in each state."""
        return Counter({state: number for state, number in self.status().counts.items() if number})

    def recipients(self) -> dict[str, State]:
        """Return the state of each recipient."""
        return {one.row.recipient: one.state for one in self._campaigns.export(self._campaign_id)}


def _campaign_rows(people: Recipients) -> Iterator[Row]:
    for row in people.valid:
        if is_email(row):
            local, _, domain = row.recipient.rpartition("@")
            yield replace(row, recipient=f"{local}{_MARK}@{domain}")
