"""A worker's parts for webhooks without Celery's loop: a test plans and delivers in its own thread."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gatepost_core.audit_log import AuditLog
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import SERVER_CLOCK
from gatepost_core.webhooks.deliveries import Deliveries
from gatepost_core.webhooks.endpoints import Endpoints
from gatepost_core.webhooks.events import SUBSCRIBABLE, EventType
from gatepost_core.webhooks.script import record
from gatepost_operations.maintenance.webhooks import WebhookControl
from gatepost_worker.webhooks.delivery import Deliverer
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_core.settings import Settings

RETENTION_S = 259_200


class WebhookBench:
    """Endpoints, their deliveries, and the operator's control of them."""

    def __init__(self, settings: Settings, *, clock: str = SERVER_CLOCK) -> None:
        self.settings = settings
        self.redis = connect(settings)
        self.audit = AuditLog(self.redis, KEYS, settings.fingerprints(), who="tests")
        self.endpoints = Endpoints(self.redis, KEYS, settings.keyring(), clock=clock)
        self.deliveries = Deliveries(self.redis, KEYS, clock=clock)
        self.control = WebhookControl(self.redis, settings, self.audit)
        self.stopping = False
        self.counted = Counter[str]()
        self.deliverer = Deliverer(
            settings,
            self.endpoints,
            self.deliveries,
            self.audit,
            most_at_once=2,
            stopping=lambda: self.stopping,
            count=lambda result: self.counted.update([result]),
        )

    def added(self, url: str, types: Sequence[EventType] = SUBSCRIBABLE) -> tuple[str, str]:
        """Add an endpoint, and return its id and its secret."""
        endpoint, secret = self.control.add(url, types)
        return endpoint.id, secret

    def record(self, number: int = 1) -> None:
        """Record events."""
        for one in range(number):
            data: dict[str, Any] = {"tenant": f"tenant-{one}", "channel": "email", "step": "login", "reason": "timeout"}
            record(self.redis, KEYS, EventType.PROBE_FAILED, data)

    def deliver(self, endpoint_id: str) -> int | None:
        """Deliver the events that are due."""
        return self.deliverer.run(endpoint_id)

    def events(self) -> list[dict[str, str]]:
        """The fields of the events in the outbox."""
        found: Any = self.redis.xrange(KEYS.webhook_events)
        return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in found]

    def close(self) -> None:
        self.redis.close()
