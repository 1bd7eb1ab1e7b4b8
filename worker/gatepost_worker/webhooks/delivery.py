"""A task's run: delivers the events that are due at one endpoint, one after the other, for a bounded time."""

from __future__ import annotations

import random
import threading
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog
from standardwebhooks.webhooks import Webhook

from gatepost_core.error_boundary import boundary
from gatepost_core.errors import SealError
from gatepost_core.webhooks.events import payload
from gatepost_core.webhooks.urls import read_url
from gatepost_worker.metrics.names import WebhookResult
from gatepost_worker.webhooks.connection import Connection
from gatepost_worker.webhooks.policy import Delivered, Failed, decide

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_core.audit_log import AuditLog
    from gatepost_core.settings import Settings
    from gatepost_core.webhooks.deliveries import Attempt, Deliveries
    from gatepost_core.webhooks.endpoints import Endpoints, Target
    from gatepost_worker.webhooks.connection import Answer

_log = structlog.stdlib.get_logger("gatepost.worker")
_RUN_S: Final = 15.0
HOP_MS: Final = 60_000
"""The longest delay of a message on the queue. A later event is found by the next plan."""
AUTHOR: Final = "gatepost worker"
"""The operator's name in the audit log for acts of workers."""
_POSTPONED_MS: Final = 300_000
_NO_ROOM_MS: Final = 5_000


def signed_headers(attempt: Attempt, target: Target, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers of an attempt, with a signature for each secret that is valid now.

    Source: Standard Webhooks 1.0.0, "Webhook headers" and "Signature scheme".
    """
    # The library writes the time of a naive datetime as if it were UTC.
    at = now.astimezone(UTC).replace(tzinfo=None)
    signatures = [Webhook(secret).sign(attempt.webhook_id, at, body.decode()) for secret in target.signing(now)]
    return {
        "Content-Type": "application/json",
        "User-Agent": "gatepost",
        "webhook-id": attempt.webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


@boundary
class Deliverer:
    """Delivers events. Several threads may run it; only a few do so at once, so that slow endpoints leave slots for logins.

    Args:
        settings: the settings of webhooks.
        endpoints: the endpoints.
        deliveries: the record of deliveries.
        audit: the audit log.
        most_at_once: how many runs this process makes at once.
        stopping: returns whether the process is ending.
        count: counts an attempt by its result.
    """

    def __init__(
        self,
        settings: Settings,
        endpoints: Endpoints,
        deliveries: Deliveries,
        audit: AuditLog,
        *,
        most_at_once: int,
        stopping: Callable[[], bool],
        count: Callable[[WebhookResult], object],
    ) -> None:
        self._settings = settings
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._audit = audit
        self._stopping = stopping
        self._count = count
        self._room = threading.BoundedSemaphore(most_at_once)

    def run(self, endpoint_id: str) -> int | None:
        """Deliver the events that are due at an endpoint. Return the milliseconds until it needs a message, or None if the next plan finds it.

        Raises:
            Unavailable: Redis did not answer; a delivery under way is repeated with the same `webhook-id`.
        """
        if not self._room.acquire(blocking=False):
            return _NO_ROOM_MS
        try:
            self._deliver_for(endpoint_id, time.monotonic() + _RUN_S)
        finally:
            self._room.release()
        return self._deliveries.rest(endpoint_id, HOP_MS)

    def _deliver_for(self, endpoint_id: str, ends: float) -> None:
        with ExitStack() as opened:
            connection: Connection | None = None
            while time.monotonic() < ends and not self._stopping():
                attempt = self._deliveries.take(endpoint_id)
                if attempt is None:
                    return
                try:
                    target = self._endpoints.open(endpoint_id, attempt.sealed)
                    if connection is None:
                        connection = opened.enter_context(closing(self._connect(target.url)))
                except (SealError, ValueError) as failure:
                    self._postpone(endpoint_id, attempt, type(failure).__name__)
                    return
                if attempt.event is None:
                    self._postpone(endpoint_id, attempt, "UnknownEvent")
                else:
                    self._deliver(endpoint_id, attempt, target, connection)

    def _connect(self, url: str) -> Connection:
        settings = self._settings
        return Connection(
            read_url(url, allow_private=settings.webhook_allow_private),
            allow_private=settings.webhook_allow_private,
            ca_bundle=str(settings.webhook_ca_bundle) if settings.webhook_ca_bundle else None,
            proxy=settings.webhook_proxy.get_secret_value() if settings.webhook_proxy else None,
        )

    def _postpone(self, endpoint_id: str, attempt: Attempt, failure: str) -> None:
        """Keep an event that this worker cannot deliver: another worker may have the key, the setting or the version for it."""
        _log.error("webhook.not_delivered", endpoint_id=endpoint_id, webhook_id=attempt.webhook_id, failure=failure)
        self._deliveries.failed(endpoint_id, attempt, failure, wait_ms=_POSTPONED_MS, pause_ms=_POSTPONED_MS)
        self._count(WebhookResult.POSTPONED)

    def _deliver(self, endpoint_id: str, attempt: Attempt, target: Target, connection: Connection) -> None:
        assert attempt.event is not None  # noqa: S101 - the caller has looked
        body = payload(attempt.event, attempt.at_ms, attempt.data)
        answer = connection.post(signed_headers(attempt, target, body, datetime.now(UTC)), body)
        decision = decide(attempt, answer, chance=random.random())  # noqa: S311 - jitter
        _log_attempt(endpoint_id, attempt, answer)
        match decision:
            case Delivered():
                self._deliveries.delivered(endpoint_id, attempt)
                self._count(WebhookResult.DELIVERED)
            case Failed(wait_ms=wait, pause_ms=pause, disable=disable):
                self._deliveries.failed(endpoint_id, attempt, answer.word, wait_ms=wait, pause_ms=pause)
                self._count(WebhookResult.GIVEN_UP if wait is None else WebhookResult.FAILED)
                if wait is None:
                    _log.error("webhook.given_up", endpoint_id=endpoint_id, webhook_id=attempt.webhook_id)
                if disable is not None:
                    self._disable(endpoint_id, disable)

    def _disable(self, endpoint_id: str, reason: str) -> None:
        with self._audit.act("webhook.disable", endpoint=endpoint_id, reason=reason):
            self._endpoints.disable(endpoint_id, reason)
        _log.error("webhook.disabled", endpoint_id=endpoint_id, reason=reason)


def _log_attempt(endpoint_id: str, attempt: Attempt, answer: Answer) -> None:
    _log.info(
        "webhook.attempted",
        endpoint_id=endpoint_id,
        webhook_id=attempt.webhook_id,
        type=attempt.event,
        attempt=attempt.number,
        result=answer.word,
        duration_ms=round(answer.duration_s * 1000),
    )
