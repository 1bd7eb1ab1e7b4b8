"""The objects that the batches of a process share."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatepost_core.campaigns.publishing import BatchPublisher
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_worker.metrics.counts import WorkerMetrics

_FEED_EVERY_S: Final = 0.5


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
            if now - self._fed_at.get(campaign_id, -_FEED_EVERY_S) < _FEED_EVERY_S:
                return False
            self._fed_at[campaign_id] = now
            return True

    def forget(self, campaign_id: str) -> None:
        """Forget a campaign that has ended."""
        with self._lock:
            self._fed_at.pop(campaign_id, None)


class Tools:
    """The objects that the batches of a process share, as `BatchRunner` keeps them."""

    publisher: BatchPublisher
    fingerprints: Fingerprints
    schedule: FeedSchedule
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    stopping: Callable[[], bool]
    replicated: Callable[[str, Mapping[str, str]], bool]
    metrics: WorkerMetrics
    threads: int
    running: set[str]
