"""Publishes a campaign's next batches: the messages name a campaign and a number, never a person."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import structlog
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerError

from gatepost.messages import SEND_BATCH, Queue, batch_message
from gatepost.queueing import publish

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from gatepost.campaigns.store import CampaignStore

_log = structlog.stdlib.get_logger("gatepost.campaigns")


class BatchPublisher:
    """Puts batches on the broker. Thread-safe."""

    def __init__(self, app: Celery, store: CampaignStore) -> None:
        self._app = app
        self._store = store

    def feed(self, campaign_id: str) -> int:
        """Publish what the campaign's window has room for, and return how many batches that was.

        Raises:
            CampaignNotFound: there is no such campaign.
            Unavailable: Redis did not answer.
        """
        return self.publish(campaign_id, self._store.feed(campaign_id))

    def publish(self, campaign_id: str, picked: Iterable[tuple[int, float]]) -> int:
        """Publish batches, each with its delay in seconds. What the broker does not take is found again by the reconciler."""
        published = 0
        try:
            for batch, delay_s in picked:
                publish(
                    self._app,
                    SEND_BATCH,
                    Queue.BULK,
                    str(uuid.uuid4()),
                    batch_message(campaign_id, batch),
                    countdown=delay_s or None,
                )
                published += 1
        except (BrokerError, KombuError, OSError) as failure:
            _log.warning("publish.postponed", campaign_id=campaign_id, error=type(failure).__name__)
        return published
