"""How long a campaign's recipients take in this process: how many to begin at once, and when to say so to the fleet."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK_S: Final = 0.1
"""Rows begun together should be sent within this time: those of a killed worker become `unknown`."""
MOST_AT_ONCE: Final = 8
_REPORT_EVERY_S: Final = 1.0
_SHARE_OF_NEWEST: Final = 0.25


@dataclass(slots=True)
class _Pace:
    usual_s: float
    shortest_s: float
    reported_at: float


class Pacing:
    """The pace of each campaign. Safe to share between threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._paces: dict[str, _Pace] = {}
        self._lock = threading.Lock()

    def rows_at_once(self, campaign_id: str) -> int:
        """Return how many rows to begin together; one as long as nothing is known."""
        pace = self._paces.get(campaign_id)
        return 1 if pace is None else max(1, min(MOST_AT_ONCE, int(CHUNK_S / max(pace.usual_s, 1e-6))))

    def sent(self, campaign_id: str, rows: int, seconds: float) -> float | None:
        """Take in that so many rows took so long; return the shortest time of a row when it is time to report it."""
        each = seconds / rows
        now = self._monotonic()
        with self._lock:
            pace = self._paces.get(campaign_id)
            if pace is None:
                pace = self._paces[campaign_id] = _Pace(each, each, now - _REPORT_EVERY_S)
            pace.usual_s += _SHARE_OF_NEWEST * (each - pace.usual_s)
            pace.shortest_s = min(pace.shortest_s, each)
            if now - pace.reported_at < _REPORT_EVERY_S:
                return None
            shortest, pace.shortest_s, pace.reported_at = pace.shortest_s, each, now
            return shortest

    def forget(self, campaign_id: str) -> None:
        """Drop a campaign that is over."""
        with self._lock:
            self._paces.pop(campaign_id, None)
