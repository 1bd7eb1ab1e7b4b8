"""Publishes the message that lets a worker deliver the events of one endpoint."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from gatepost_core.broker.messages import DELIVER_WEBHOOKS, webhooks_message
from gatepost_core.broker.publishing import publish_recorded
from gatepost_core.kinds import Queue

if TYPE_CHECKING:
    from celery import Celery


def publish_delivery(app: Celery, endpoint_id: str, *, countdown: float | None = None) -> None:
    """Publish the message of one endpoint. If the broker does not take it, a later plan publishes it again.

    Args:
        app: the Celery app.
        endpoint_id: the endpoint.
        countdown: seconds until the task may run.
    """
    publish_recorded(
        app,
        DELIVER_WEBHOOKS,
        Queue.WEBHOOKS,
        str(uuid.uuid4()),
        webhooks_message(endpoint_id),
        countdown=countdown,
        endpoint_id=endpoint_id,
    )
