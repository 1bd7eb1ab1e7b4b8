"""The task that sends one batch of a campaign, and the parts it needs in a worker process."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from celery import signals

from gatepost_core.campaigns.publishing import BatchPublisher
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.redis.replication import Replication
from gatepost_worker.bulk.batches import BatchRunner
from gatepost_worker.bulk.store import BatchStore
from gatepost_worker.bulk.sweep import CampaignSweep

if TYPE_CHECKING:
    from celery import Celery

    from gatepost_worker.process import Process


class CampaignParts:
    """What one worker process shares for campaigns, each made when first used."""

    def __init__(self, app: Celery, process: Process) -> None:
        self._app = app
        self._process = process
        self._stopping = threading.Event()
        # Celery keeps weak references by default; this object is held by the tasks.
        signals.worker_shutting_down.connect(self._stop, weak=False)

    @cached_property
    def store(self) -> CampaignStore:
        """The campaigns' records."""
        return CampaignStore(self._process.redis, republish_after_s=self._process.settings.republish_after)

    @cached_property
    def publisher(self) -> BatchPublisher:
        """What puts batches on the broker."""
        return BatchPublisher(self._app, self.store)

    @cached_property
    def runner(self) -> BatchRunner:
        """What carries out batches."""
        process = self._process
        return BatchRunner(
            settings=process.settings,
            store=BatchStore(process.redis, republish_after_s=process.settings.republish_after),
            publisher=self.publisher,
            keyring=process.keyring,
            fingerprints=process.settings.fingerprints(),
            clients=process.clients,
            ownership=process.ownership,
            stopping=self._stopping.is_set,
            replicated=Replication(process.redis, process.settings.wait_replicas).reached,
        )

    @cached_property
    def sweep(self) -> CampaignSweep:
        """What repairs campaigns."""
        return CampaignSweep(self._process.redis, self.store, self.publisher)

    def _stop(self, **_: Any) -> None:
        self._stopping.set()
