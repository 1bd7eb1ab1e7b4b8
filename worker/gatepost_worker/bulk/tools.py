"""The objects that the batches of a process share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatepost_core.campaigns.publishing import BatchPublisher
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_worker.bulk.feed_schedule import FeedSchedule
    from gatepost_worker.metrics.counts import WorkerMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The objects that the batches of a process share; see `BatchRunner`."""

    publisher: BatchPublisher
    fingerprints: Fingerprints
    schedule: FeedSchedule
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    stopping: Callable[[], bool]
    crowded: Callable[[], bool]
    replicated: Callable[[str, Mapping[str, str]], bool]
    metrics: WorkerMetrics
