"""How much of a campaign is under way: rows begun together, and when its batches on the broker are topped up."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK_S: Final = 0.1
"""Rows begun together should be sent within this time: if the worker is killed, they become `unknown`."""
MOST_AT_ONCE: Final = 8
_EVERY_S: Final = 0.5


def rows_at_once(before: int, seconds: float) -> int:
    """Return how many rows to begin next, given that the last `before` rows took `seconds`: fewer when answers are slow."""
    if seconds > CHUNK_S:
        return 1
    return min(MOST_AT_ONCE, 2 * before) if 2 * seconds <= CHUNK_S else before


class FeedSchedule:
    """Limits how often a process tops up each campaign's batches. Safe to share between threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._fed_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_due(self, campaign_id: str) -> bool:
        """Return whether a campaign is due; if so, its interval starts again."""
        now = self._monotonic()
        with self._lock:
            if now - self._fed_at.get(campaign_id, -_EVERY_S) < _EVERY_S:
                return False
            self._fed_at[campaign_id] = now
            return True

    def forget(self, campaign_id: str) -> None:
        """Forget a campaign that has ended."""
        with self._lock:
            self._fed_at.pop(campaign_id, None)
