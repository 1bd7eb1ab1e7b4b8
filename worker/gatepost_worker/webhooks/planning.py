"""Publishes a message for each endpoint with events that are due. The reconciler runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gatepost_core.error_boundary import boundary
from gatepost_core.webhooks.publishing import publish_delivery

if TYPE_CHECKING:
    from celery import Celery

    from gatepost_core.webhooks.deliveries import Deliveries

_log = structlog.stdlib.get_logger("gatepost.worker")


@boundary
class WebhookPlanner:
    """Plans the deliveries of all endpoints."""

    def __init__(self, app: Celery, deliveries: Deliveries, *, retention_s: float) -> None:
        self._app = app
        self._deliveries = deliveries
        self._retention_s = retention_s

    def run(self) -> None:
        """Publish a message for each endpoint with events that are due, and drop events that are too old.

        Raises:
            Unavailable: Redis did not answer; the next run continues.
        """
        plan = self._deliveries.plan(self._retention_s)
        for endpoint_id, number in plan.lost.items():
            _log.error("webhook.events_lost", endpoint_id=endpoint_id, events=number)
        for endpoint_id in plan.queue:
            publish_delivery(self._app, endpoint_id)
