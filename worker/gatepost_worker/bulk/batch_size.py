"""How many rows a batch begins at once, and when this process looks whether a campaign may have more batches out."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK_S: Final = 0.1
"""Rows begun together should be sent within this time: those of a killed worker become `unknown`."""
MOST_AT_ONCE: Final = 8
_EVERY_S: Final = 0.5


def rows_at_once(before: int, seconds: float) -> int:
    """Return how many rows to begin together, after `before` rows took so many seconds: fewer the longer answers take."""
    if seconds > CHUNK_S:
        return 1
    return min(MOST_AT_ONCE, 2 * before) if 2 * seconds <= CHUNK_S else before


class FeedSchedule:
    """When each campaign was looked at. Safe to share between threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looked_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_due(self, campaign_id: str) -> bool:
        """Return whether it is time to look at a campaign's window; then it counts as done."""
        now = self._monotonic()
        with self._lock:
            if now - self._looked_at.get(campaign_id, -_EVERY_S) < _EVERY_S:
                return False
            self._looked_at[campaign_id] = now
            return True

    def forget(self, campaign_id: str) -> None:
        """Drop a campaign that is over."""
        with self._lock:
            self._looked_at.pop(campaign_id, None)
