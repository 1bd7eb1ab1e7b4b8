"""Tops up the campaigns of which a silent worker, such as a killed one, holds batches: the other workers may have none to send."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from gatepost_core.errors import GatepostError

if TYPE_CHECKING:
    from gatepost_core.campaigns.publishing import BatchPublisher
    from gatepost_core.campaigns.store import CampaignStore

_log = structlog.stdlib.get_logger("gatepost.worker")

_EVERY_S: Final = 1.0


class SilentWorkers:
    """Looks for silent workers each second, on a thread of its process."""

    def __init__(self, store: CampaignStore, publisher: BatchPublisher) -> None:
        self._store = store
        self._publisher = publisher
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gatepost-silent-workers", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()

    def look(self) -> int:
        """Publish the batches that campaigns may have out in place of silent workers' batches, and return their number.

        Raises:
            GatepostError: Redis did not answer, or a campaign cannot be read.
        """
        published = 0
        for campaign_id in self._store.ids_with_silent_workers():
            published += self._publisher.feed(campaign_id)
        return published

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            try:
                published = self.look()
            except GatepostError as failure:
                _log.debug("silent_workers.not_checked", error=str(failure))
                continue
            if published:
                _log.info("silent_workers.replaced", batches_published=published)
