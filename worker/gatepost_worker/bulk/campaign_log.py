"""Writes each change of a campaign's status to the log, once in the fleet, whichever process made it.

The scripts append every change to a list in Redis, and one worker takes it. A worker that is killed in between loses the line, not the change.
"""

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

    from gatepost_core.redis.keys import RedisKeys

_log = structlog.stdlib.get_logger("gatepost.worker")

_EVERY_S: Final = 1.0
_MOST: Final = 100


class CampaignLog:
    """Takes the changes of all campaigns, each second, on a thread of its process."""

    def __init__(self, client: Redis, keys: RedisKeys) -> None:
        self._redis = client
        self._keys = keys
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gatepost-campaign-log", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()

    def write(self) -> int:
        """Log the changes that no worker has logged, and return their number.

        Raises:
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            found: Any = self._redis.lpop(self._keys.campaign_changes, _MOST)
        for change in found or ():
            self._write(json.loads(change))
        return len(found or ())

    def _write(self, change: dict[str, Any]) -> None:
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
                self.write()
            except (GatepostError, ValueError, KeyError, TypeError) as failure:
                _log.debug("campaign_log.not_read", error=type(failure).__name__)
