"""The objects that the delivery of webhooks needs in one worker process, each created on first use."""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import structlog

from gatepost_core.audit_log import AuditLog
from gatepost_core.webhooks.deliveries import Deliveries
from gatepost_core.webhooks.endpoints import Endpoints
from gatepost_core.webhooks.publishing import publish_delivery
from gatepost_worker.metrics.names import WEBHOOKS

if TYPE_CHECKING:
    from celery import Celery

    from gatepost_worker.process import Process
    from gatepost_worker.webhooks.delivery import Deliverer

_log = structlog.stdlib.get_logger("gatepost.worker")
# A quarter of the slots, so that slow endpoints leave the others for logins and sends.
_SHARE: Final = 4


class WebhookParts:
    """Plans and makes deliveries."""

    def __init__(self, app: Celery, process: Process) -> None:
        self._app = app
        self._process = process

    def plan(self) -> None:
        """Publish a message for each endpoint with events that are due, and drop events that are too old.

        Raises:
            Unavailable: Redis did not answer; the next run of the reconciler continues.
        """
        plan = self._deliveries.plan(self._process.settings.webhook_retention)
        for endpoint_id, number in plan.lost.items():
            _log.error("webhook.events_lost", endpoint_id=endpoint_id, events=number)
        for endpoint_id in plan.queue:
            publish_delivery(self._app, endpoint_id)

    def deliver(self, endpoint_id: str) -> None:
        """Deliver the events of one endpoint, and publish the next message if one is needed soon.

        Raises:
            Unavailable: Redis did not answer.
        """
        if find_spec("standardwebhooks") is None:
            _log.error("webhook.extra_missing", endpoint_id=endpoint_id, install="gatepost[webhooks]")
            return
        wait_ms = self._deliverer.run(endpoint_id)
        if wait_ms is not None:
            publish_delivery(self._app, endpoint_id, countdown=wait_ms / 1000 or None)

    @cached_property
    def _deliveries(self) -> Deliveries:
        return Deliveries(self._process.redis, self._process.keys)

    @cached_property
    def _deliverer(self) -> Deliverer:
        # Imported here, because the library is an extra.
        from gatepost_worker.webhooks.delivery import AUTHOR, Deliverer  # noqa: PLC0415

        process = self._process
        return Deliverer(
            process.settings,
            Endpoints(process.redis, process.keys, process.keyring),
            self._deliveries,
            AuditLog(process.redis, process.keys, process.settings.fingerprints(), who=AUTHOR),
            most_at_once=max(1, process.slots // _SHARE),
            stopping=lambda: process.liveness.is_stopping,
            count=lambda result: process.metrics.add(WEBHOOKS, result),
        )
