"""Publishes a campaign's next batches. The messages hold the campaign's id and a number, never a person."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from gatepost_core.broker.messages import SEND_BATCH, batch_message
from gatepost_core.broker.publishing import publish_recorded
from gatepost_core.kinds import Queue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from gatepost_core.campaigns.store import CampaignStore


class BatchPublisher:
    """Publishes batches. Thread-safe."""

    def __init__(self, app: Celery, store: CampaignStore) -> None:
        self._app = app
        self._store = store

    def feed(self, campaign_id: str) -> int:
        """Publish as many batches as the campaign's limit of batches in flight allows, and return their number.

        Raises:
            CampaignNotFound: the campaign does not exist.
            Unavailable: Redis did not answer.
        """
        return self.publish(campaign_id, self._store.feed(campaign_id))

    def publish(self, campaign_id: str, picked: Iterable[tuple[int, float]]) -> int:
        """Publish batches, each with its delay in seconds, until the broker refuses one. The reconciler publishes the rest later.

        Returns:
            The number of published batches.
        """
        published = 0
        for batch, delay_s in picked:
            message = batch_message(campaign_id, batch)
            if not publish_recorded(
                self._app,
                SEND_BATCH,
                Queue.BULK,
                str(uuid.uuid4()),
                message,
                countdown=delay_s or None,
                campaign_id=campaign_id,
            ):
                break
            published += 1
        return published
