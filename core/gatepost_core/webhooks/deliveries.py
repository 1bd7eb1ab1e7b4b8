"""The delivery of events: which endpoint needs a message, which event it gets next, and how each attempt ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.error_boundary import boundary
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import SERVER_CLOCK, milliseconds, moment
from gatepost_core.webhooks.events import STORED_VERSION, EventType
from gatepost_core.webhooks.script import WebhookScript

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

LEASE_MS: Final = 60_000
"""An attempt whose worker is lost is repeated after this time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The work that is due.

    Attributes:
        queue: the endpoints that need a message.
        lost: the number of events that each endpoint lost since the last plan, because they were too old or too many.
    """

    queue: list[str]
    lost: dict[str, int]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver one event. Times are milliseconds since the epoch, by Redis's clock.

    Attributes:
        event_id: the event's id in the stream.
        webhook_id: the header `webhook-id`, the same for all attempts.
        event: its type; None if this version does not know the type.
        at_ms: when it happened.
        data: its fields.
        number: 1 for the first attempt.
        first_ms: when the first attempt began.
        now_ms: when this attempt began.
        sealed: the sealed part of the endpoint.
        failing_since_ms: when the endpoint began to fail, if it fails.
        failures: the failed attempts since its last success.
    """

    event_id: str
    webhook_id: str
    event: EventType | None
    at_ms: int
    data: dict[str, Any]
    number: int
    first_ms: int
    now_ms: int
    sealed: str
    failing_since_ms: int | None
    failures: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """The events that wait for one endpoint.

    Attributes:
        waiting: their number. It includes events of other types that are still to be looked at.
        oldest_at: when the oldest happened.
    """

    waiting: int
    oldest_at: datetime | None

    def age_s(self, now: datetime) -> float:
        """Return the age of the oldest event in seconds, 0 without one."""
        return 0.0 if self.oldest_at is None else max(0.0, (now - self.oldest_at).total_seconds())


@boundary
class Deliveries:
    """The record of deliveries. Every method raises `Unavailable` when Redis does not answer."""

    def __init__(self, client: Redis, keys: RedisKeys, *, clock: str = SERVER_CLOCK) -> None:
        self._redis = client
        self._keys = keys
        self._call = WebhookScript(client, keys, clock)

    def plan(self, retention_s: float) -> Plan:
        """Drop events that are too old, and return the endpoints that need a message on the queue. They count as queued for two minutes.

        Args:
            retention_s: seconds that events are kept.
        """
        queue, losses = self._call("plan", int(retention_s * 1000))
        return Plan(queue, dict(zip(losses[::2], losses[1::2], strict=True)))

    def take(self, endpoint_id: str) -> Attempt | None:
        """Return the next attempt that is due at an endpoint, or None. The attempt must end within `LEASE_MS`."""
        while True:
            answer = self._call("take", endpoint_id, LEASE_MS)
            if answer[0] == "event":
                return _attempt(answer[1:])
            if answer[0] == "nothing":
                return None

    def delivered(self, endpoint_id: str, attempt: Attempt) -> None:
        """Record that an attempt delivered its event."""
        self._call("delivered", endpoint_id, attempt.event_id)

    def failed(self, endpoint_id: str, attempt: Attempt, failure: str, *, wait_ms: int | None, pause_ms: int) -> None:
        """Record that an attempt failed.

        Args:
            endpoint_id: the endpoint.
            attempt: the attempt.
            failure: the status or the kind of the failure.
            wait_ms: milliseconds until the next attempt; None if it was the last one.
            pause_ms: milliseconds in which the endpoint gets no event at all.
        """
        wait = "" if wait_ms is None else wait_ms
        self._call("failed", endpoint_id, attempt.event_id, wait, pause_ms, failure)

    def rest(self, endpoint_id: str, most_ms: int) -> int | None:
        """End a run of deliveries. Return the milliseconds until the endpoint needs a message, or None if the next plan finds it.

        Args:
            endpoint_id: the endpoint.
            most_ms: the longest delay of a message.
        """
        (wait,) = self._call("rest", endpoint_id, most_ms)
        return None if wait < 0 else int(wait)

    def test(self, endpoint_id: str) -> str:
        """Record a test event for one endpoint, and return its id in the stream."""
        data = json.dumps({"endpoint_id": endpoint_id})
        return str(self._call("test", endpoint_id, EventType.TEST.value, data)[0])

    def waits(self, endpoint_id: str, event_id: str) -> bool:
        """Return whether an event that an endpoint was offered still waits to be delivered."""
        with translated_errors():
            return self._redis.zscore(self._keys.webhook_due(endpoint_id), event_id) is not None

    def replay(self, endpoint_id: str, since: datetime, until: datetime, *, dry_run: bool = False) -> int:
        """Deliver the kept events of a time range again, with the same `webhook-id`, and return their number.

        Events that the endpoint has not been offered yet are not counted: it gets them anyway.

        Args:
            endpoint_id: the endpoint.
            since: the start of the range.
            until: its end, which belongs to it.
            dry_run: only count.
        """
        place, last, chosen = str(milliseconds(since)), str(milliseconds(until)), 0
        while True:
            answer = self._call("replay", endpoint_id, place, last, "1" if dry_run else "")
            if answer[0] == "missing":
                return chosen
            chosen += int(answer[1])
            if len(answer) < 3:  # noqa: PLR2004 - the third part says where to continue
                return chosen
            place = str(answer[2])

    def backlog(self) -> dict[str, Backlog]:
        """Return the events that wait for each endpoint."""
        _, found = self._call("backlog")
        return {
            endpoint_id: Backlog(waiting, _time_of(oldest) if oldest else None)
            for endpoint_id, waiting, oldest in found
        }


def _time_of(event_id: str) -> datetime:
    return moment(event_id.partition("-")[0]).astimezone(UTC)


def _attempt(stored: list[Any]) -> Attempt:
    event_id, version, name, at, data, number, first, now, sealed, failing_since, failures, source = stored
    known = version == STORED_VERSION and name in set(EventType)
    return Attempt(
        event_id=event_id,
        webhook_id=f"evt_{source}_{event_id}",
        event=EventType(name) if known else None,
        at_ms=int(at),
        data=json.loads(data),
        number=int(number),
        first_ms=int(first),
        now_ms=int(now),
        sealed=sealed,
        failing_since_ms=int(failing_since) if failing_since else None,
        failures=int(failures),
    )
