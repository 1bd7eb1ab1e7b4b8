"""The periodic sweep of campaigns: ends expired leases and overdue rows, and publishes batches whose messages were lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gatepost_core.campaigns.store import SWEPT_PAGE
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import CampaignNotFound, CorruptRecord
from gatepost_worker.metrics.counts import WorkerMetrics
from gatepost_worker.metrics.names import REPAIRS, Repair
from gatepost_worker.upkeep.reconciler import sweep_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from gatepost_core.campaigns.publishing import BatchPublisher
    from gatepost_core.campaigns.store import CampaignStore
    from gatepost_core.redis.keys import RedisKeys

_log = structlog.stdlib.get_logger("gatepost.worker")


@boundary
class CampaignSweep:
    """Sweeps the active campaigns. One sweep runs at a time."""

    def __init__(
        self,
        client: Redis,
        keys: RedisKeys,
        store: CampaignStore,
        publisher: BatchPublisher,
        *,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._redis = client
        self._lock = keys.campaign_sweep_lock
        self._store = store
        self._publisher = publisher
        self._metrics = metrics or WorkerMetrics()

    def run(self) -> int:
        """Sweep every campaign, and return how many batches were published.

        Raises:
            Unavailable: Redis did not answer; the next run continues.
        """
        published = 0
        with sweep_lock(self._redis, self._lock) as prolong:
            if prolong is None:
                return 0
            for campaign_id in self._store.active_ids():
                published += self._sweep(campaign_id, prolong)
        return published

    def _sweep(self, campaign_id: str, prolong: Callable[[], object]) -> int:
        try:
            lost = self._find_lost(campaign_id, prolong)
            published = self._publisher.feed(campaign_id)
        except CampaignNotFound:  # deleted meanwhile
            return 0
        except CorruptRecord as failure:
            # A corrupt campaign must not stop the sweep of the others.
            _log.error("campaign.not_swept", campaign_id=campaign_id, error=str(failure))
            return 0
        if lost:
            self._metrics.add(REPAIRS, Repair.ROW_LOST_ITS_WORKER, by=lost)
        if lost or published:
            _log.info("campaign.swept", campaign_id=campaign_id, rows_lost=lost, batches_published=published)
        return published

    def _find_lost(self, campaign_id: str, prolong: Callable[[], object]) -> int:
        all_lost, looked_at, closing = 0, SWEPT_PAGE, False
        while looked_at >= SWEPT_PAGE:
            _, looked_at, lost, closing = self._store.sweep(campaign_id)
            all_lost += lost
            prolong()
        if closing:
            self._store.close(campaign_id)
            prolong()
        return all_lost
