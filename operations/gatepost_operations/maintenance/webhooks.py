"""Manages webhook endpoints, with an entry in the audit log for each act."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gatepost_core.error_boundary import boundary
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.webhooks.deliveries import Deliveries
from gatepost_core.webhooks.endpoints import Endpoints, new_secret
from gatepost_core.webhooks.events import SUBSCRIBABLE, EventType
from gatepost_core.webhooks.urls import read_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from gatepost_core.audit_log import AuditLog
    from gatepost_core.settings import Settings
    from gatepost_core.webhooks.endpoints import Endpoint

LONGEST_OVERLAP: Final = timedelta(days=30)


class Fate(StrEnum):
    """The state of a test event."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@boundary
class WebhookControl:
    """Adds, changes, tests and removes endpoints. Every method raises `Unavailable` when Redis does not answer.

    Methods that take an id accept its beginning too, and raise `EndpointNotFound` if it fits none or several.
    """

    def __init__(self, client: Redis, settings: Settings, audit: AuditLog) -> None:
        keys = RedisKeys(settings.namespace)
        self._allow_private = settings.webhook_allow_private
        self.endpoints = Endpoints(client, keys, settings.keyring())
        self.deliveries = Deliveries(client, keys)
        self._audit = audit

    def add(self, url: str, types: Sequence[EventType] = SUBSCRIBABLE) -> tuple[Endpoint, str]:
        """Add an endpoint, and return it with its secret, which is shown only here.

        Args:
            url: the `https://` URL.
            types: the types of events that it gets.

        Raises:
            InvalidCommand: the URL or the types cannot be used.
            TooManyEndpoints: there are too many.
        """
        try:
            read_url(url, allow_private=self._allow_private)
        except ValueError as problem:
            raise InvalidCommand([FieldError("url", str(problem))]) from None
        if not types or not set(types) <= set(SUBSCRIBABLE):
            raise InvalidCommand([FieldError("event", f"must be one of {', '.join(SUBSCRIBABLE)}")])
        secret = new_secret()
        with self._audit.act("webhook.add", types=sorted(types)) as found:
            found["endpoint"] = self.endpoints.add(url, types, secret)
        return self.endpoints.find(found["endpoint"]), secret

    def find(self, given: str) -> Endpoint:
        """Return one endpoint."""
        return self.endpoints.find(given)

    def test(self, endpoint: Endpoint) -> str:
        """Record a test event for one endpoint, and return its id for `fate`."""
        with self._audit.act("webhook.test", endpoint=endpoint.id):
            return self.deliveries.test(endpoint.id)

    def fate(self, before: Endpoint, event_id: str) -> Fate:
        """Return the state of a test event.

        Args:
            before: the endpoint as it was before the test.
            event_id: the event.
        """
        if not self.deliveries.waits(before.id, event_id):
            return Fate.DELIVERED
        return Fate.FAILED if self.find(before.id).last_failed_at != before.last_failed_at else Fate.WAITING

    def replay(self, given: str, since: datetime, until: datetime | None = None, *, dry_run: bool = False) -> int:
        """Deliver the kept events of a time range again, with the same `webhook-id`, and return their number.

        Args:
            given: the endpoint.
            since: the start of the range.
            until: its end [default: now].
            dry_run: only count.
        """
        endpoint, end = self.find(given), until or datetime.now(UTC)
        if dry_run:
            return self.deliveries.replay(endpoint.id, since, end, dry_run=True)
        times = {"since": since.isoformat(), "until": end.isoformat()}
        with self._audit.act("webhook.replay", endpoint=endpoint.id, **times) as found:
            found["events"] = self.deliveries.replay(endpoint.id, since, end)
        return int(found["events"])

    def rotate(self, given: str, overlap: timedelta) -> tuple[Endpoint, str]:
        """Sign with a new secret, and return the endpoint with the secret, which is shown only here.

        Args:
            given: the endpoint.
            overlap: how long the earlier secret signs too.

        Raises:
            InvalidCommand: the overlap is longer than 30 days.
            SealError: its key is not in the ring, or it was changed.
        """
        if overlap > LONGEST_OVERLAP:
            raise InvalidCommand([FieldError("overlap", f"must be at most {LONGEST_OVERLAP.days}d")])
        endpoint, secret = self.find(given), new_secret()
        with self._audit.act("webhook.rotate", endpoint=endpoint.id, overlap_s=int(overlap.total_seconds())):
            self.endpoints.rotate(endpoint.id, overlap, secret)
        return endpoint, secret

    def enable(self, given: str) -> Endpoint:
        """Deliver an endpoint's events again, also those that waited meanwhile, and return the endpoint as it was before."""
        endpoint = self.find(given)
        with self._audit.act("webhook.enable", endpoint=endpoint.id):
            self.endpoints.enable(endpoint.id)
        return endpoint

    def disable(self, given: str) -> Endpoint:
        """Deliver nothing to an endpoint, and return the endpoint as it was before. Its events wait, for as long as they are kept."""
        endpoint = self.find(given)
        with self._audit.act("webhook.disable", endpoint=endpoint.id, reason="operator"):
            self.endpoints.disable(endpoint.id, "operator")
        return endpoint

    def remove(self, given: str) -> Endpoint:
        """Remove an endpoint with the events that wait for it, and return the endpoint as it was before."""
        endpoint = self.find(given)
        with self._audit.act("webhook.remove", endpoint=endpoint.id):
            self.endpoints.remove(endpoint.id)
        return endpoint
