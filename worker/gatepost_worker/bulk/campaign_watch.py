"""Looks at the campaigns each second: logs the changes of their status, and tops up those that a silent worker holds back."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

import structlog

from gatepost_core.errors import GatepostError
from gatepost_core.reasons import BY_CODE
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import as_text, moment

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.campaigns.publishing import BatchPublisher
    from gatepost_core.campaigns.store import CampaignStore
    from gatepost_core.redis.keys import RedisKeys

_log = structlog.stdlib.get_logger("gatepost.worker")

_EVERY_S: Final = 1.0
_MOST: Final = 100


class CampaignWatch:
    """Looks at all campaigns, each second, on a thread of its process."""

    def __init__(self, client: Redis, keys: RedisKeys, store: CampaignStore, publisher: BatchPublisher) -> None:
        self._redis = client
        self._keys = keys
        self._store = store
        self._publisher = publisher
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gatepost-campaign-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()

    def replace_silent(self) -> int:
        """Publish the batches that campaigns may have out in place of a silent worker's, and return their number.

        A worker is silent after it was killed, for example. The other workers may have no batches to send.

        Raises:
            GatepostError: Redis did not answer, or a campaign cannot be read.
        """
        published = 0
        for campaign_id in self._store.ids_with_silent_workers():
            published += self._publisher.feed(campaign_id)
        return published

    def log_changes(self) -> int:
        """Log the changes of campaigns that no worker has logged, whichever process made them, and return their number.

        The scripts append every change to a list in Redis, and one worker takes it. A worker that is killed in between loses the line, not the change.

        Raises:
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            found: Any = self._redis.lpop(self._keys.campaign_changes, _MOST)
        for change in found or ():
            self._log_change(json.loads(change))
        return len(found or ())

    def _log_change(self, change: dict[str, Any]) -> None:
        campaign, at = self._keys.campaign_id_of(as_text(change["campaign"])), moment(change["at"]).isoformat()
        match change["event"]:
            case "started":
                _log.info("campaign.started", campaign_id=campaign, at=at)
            case "resumed":
                _log.info("campaign.resumed", campaign_id=campaign, at=at)
            case "paused":
                reason, cause = change.get("reason"), BY_CODE.get(int(change.get("cause") or 0))
                _log.warning("campaign.paused", campaign_id=campaign, at=at, reason=reason, cause=cause and cause.value)
            case "cancelling":
                _log.info("campaign.cancelling", campaign_id=campaign, at=at)
            case "cancelled":
                _log.info("campaign.cancelled", campaign_id=campaign, at=at, counts=change.get("counts"))
            case "finished":
                _log.info("campaign.finished", campaign_id=campaign, at=at, counts=change.get("counts"))
            case "deleting":
                _log.info("campaign.deleting", campaign_id=campaign, at=at)
            case other:
                # A newer version wrote it.
                _log.info("campaign.changed", campaign_id=campaign, at=at, status=other)

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            try:
                self.log_changes()
            except (GatepostError, ValueError, KeyError, TypeError) as failure:
                _log.debug("campaign_log.not_read", error=type(failure).__name__)
            try:
                published = self.replace_silent()
            except GatepostError as failure:
                _log.debug("silent_workers.not_checked", error=str(failure))
                continue
            if published:
                _log.info("silent_workers.replaced", batches_published=published)
