"""The calls that one worker process may have under way: a number in all, and fewer for a campaign whose recipients fail."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

FIRST_CALLS: Final = 8
"""Calls of a campaign at once, until some have succeeded: a fault that all recipients meet costs no more than these."""
FAILURE_COSTS: Final = 4
"""A failure takes back as many calls as so many successes have gained; below a fifth of failures the number grows."""


@dataclass(slots=True)
class _Campaign:
    limit: int = FIRST_CALLS
    under_way: int = 0


class Slots:
    """The slots of one process. Safe to share between threads.

    A campaign begins with few calls at once. Each success adds one, so the number doubles in the time of one answer; each failure takes some away.
    """

    def __init__(self, calls: int) -> None:
        """Begin with all slots free.

        Args:
            calls: calls under way at once, at most.
        """
        self.calls = calls
        self._free = calls
        self._lock = threading.Lock()
        self._campaigns: dict[str, _Campaign] = {}

    def take(self, campaign_id: str, want: int) -> int:
        """Take up to `want` slots for a campaign, and return how many it got."""
        with self._lock:
            campaign = self._campaigns.setdefault(campaign_id, _Campaign())
            taken = max(0, min(want, self._free, campaign.limit - campaign.under_way))
            self._free -= taken
            campaign.under_way += taken
            return taken

    def give_back(self, campaign_id: str, number: int = 1) -> None:
        """Free slots whose calls have ended or were never made."""
        with self._lock:
            self._free += number
            self._campaigns[campaign_id].under_way -= number

    def learn(self, campaign_id: str, *, succeeded: int, failed: int) -> None:
        """Change a campaign's number of calls by the outcomes of some."""
        with self._lock:
            campaign = self._campaigns.setdefault(campaign_id, _Campaign())
            limit = campaign.limit + succeeded - FAILURE_COSTS * failed
            campaign.limit = max(FIRST_CALLS, min(limit, max(FIRST_CALLS, self.calls)))

    def forget(self, campaign_id: str) -> None:
        """Forget a campaign that has ended, once it has no call under way."""
        with self._lock:
            campaign = self._campaigns.get(campaign_id)
            if campaign is not None and campaign.under_way == 0:
                del self._campaigns[campaign_id]
