"""Attempts at single operations: one round trip begins one, another ends it.

The first checks the operation, takes a permit and marks the attempt. The second passes the answer's rate limits to the limiter, and ends or
postpones the operation.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.kinds import Kind
from gatepost_core.ledger import ledger_at
from gatepost_core.ledger.script import MemoryFull
from gatepost_core.ledger.values import Answer, Operation, Verdict, answer_of, operation_of
from gatepost_core.reasons import Reason
from gatepost_core.redis.keys import RedisKeys
from gatepost_worker.delivery.calls import deadline_of
from gatepost_worker.delivery.policy import LONGEST_HOP
from gatepost_worker.limiter import LimiterKey, LimiterSettings, lua_library, pack_settings
from gatepost_worker.limiter.readings import pack_readings
from gatepost_worker.metrics.counts import WorkerMetrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from gatepost_core.settings import Settings
    from gatepost_worker.limiter import Reading

# A worker of more tenants needs a second round trip for the others.
_REMEMBERED: Final = 8
_CALLS: Final = (
    f"local ENDPOINT_OF = {{ {', '.join(f'{kind} = {kind.endpoint.value!r}' for kind in Kind)} }}\n"
    f"local LANE_OF = {{ {', '.join(f'{kind} = {kind.lane.value!r}' for kind in Kind)} }}\n"
    + files("gatepost_worker.delivery").joinpath("attempt.lua").read_text(encoding="utf-8")
)


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt has begun, and its request may leave.

    Attributes:
        operation: the operation.
        number: how many attempts there were, this one included.
        left: the time until the deadline, by Redis's clock.
        doubt: why an earlier attempt may have been carried out.
        ticket: the permit's ticket.
    """

    operation: Operation
    number: int
    left: timedelta
    doubt: Reason | None
    ticket: int


@dataclass(frozen=True, slots=True)
class PermitWait:
    """There is no permit yet; ask again after the wait."""

    wait: timedelta


Opened = Begun | Operation | PermitWait | Answer


class Attempts:
    """Begins and ends attempts in Redis. Safe to share between threads."""

    def __init__(self, client: Redis, settings: Settings, metrics: WorkerMetrics | None = None) -> None:
        self._settings = settings
        self._metrics = metrics or WorkerMetrics()
        self._keys = RedisKeys(settings.namespace)
        self._ledger = ledger_at(client, settings, library=lua_library(), calls=_CALLS)
        self._leases = json.dumps(
            {kind: int(1000 * (deadline_of(kind, settings) + settings.lease_margin)) for kind in Kind}
        )
        self._remembered: dict[tuple[str, str], bytes] = {}

    def open(
        self,
        operation_id: str,
        attempt: str,
        *,
        patience: timedelta,
        delivered: bool = False,
        checked: Operation | None = None,
    ) -> Opened:
        """Begin an attempt if the operation can begin and there is a permit.

        Args:
            operation_id: the operation.
            attempt: the attempt's token.
            patience: the longest wait for a permit that the caller accepts; for a longer one the operation is deferred.
            delivered: whether its message has just reached this worker.
            checked: the operation, once the caller has checked that this worker sends for its application.

        Returns:
            The attempt; the operation, if its application must be checked first; the wait for a permit; or why it cannot begin.

        Raises:
            Unavailable: Redis did not answer, or too few replicas have the attempt; nothing may leave.
        """
        arguments = [
            attempt,
            int(delivered),
            int(patience.total_seconds() * 1e6),
            int(LONGEST_HOP.total_seconds() * 1000),
            self._ledger.look_after_ms,
            self._leases,
            *self._applications(checked),
        ]
        try:
            reply = self._ledger.start("attempt", operation_id, *arguments)
        except MemoryFull:
            # A message of an operation that cannot begin anyway must not stay on the queue.
            in_the_way = self._ledger.ready(operation_id)
            if isinstance(in_the_way, Answer):
                return in_the_way
            raise
        match reply:
            case ["attempt", ticket, number, left, doubt, *described]:
                self._ledger.require_replicas(operation_id, attempt)
                operation = operation_of(operation_id, described)
                self._remember(operation)
                why = Reason(doubt) if doubt else None
                return Begun(operation, int(number), timedelta(milliseconds=int(left)), why, int(ticket))
            case ["ready", *described]:
                return operation_of(operation_id, described)
            case ["wait", micros, tenant, kind]:
                return PermitWait(self._waited(tenant, kind, timedelta(microseconds=int(micros))))
            case ["put_off", millis, tenant, kind]:
                self._waited(tenant, kind, timedelta(milliseconds=int(millis)))
                return Answer(Verdict.EARLY, wait_ms=int(millis))
            case reply:
                return answer_of(reply)

    def settle(self, operation: Operation, attempt: str, *, readings: Sequence[Reading] = (), **end: Any) -> Answer:
        """End an attempt and its operation; see `Ledger.settle`."""
        return self._ledger.settle(operation.operation_id, attempt, first=self._observation(operation, readings), **end)

    def postpone(
        self,
        operation: Operation,
        wait: timedelta,
        attempt: str = "",
        *,
        readings: Sequence[Reading] = (),
        **options: Any,
    ) -> Answer:
        """Postpone an operation; see `Ledger.postpone`."""
        first = self._observation(operation, readings)
        return self._ledger.postpone(
            operation.operation_id, wait.total_seconds(), attempt=attempt, first=first, **options
        )

    def _waited(self, tenant: str, kind: str, wait: timedelta) -> timedelta:
        one = Kind(kind)
        self._metrics.waited(LimiterKey(tenant, one.endpoint), one.lane, wait.total_seconds())
        return wait

    def _applications(self, checked: Operation | None) -> list[Any]:
        applications = dict(self._remembered)
        if checked is not None:
            applications[checked.tenant, checked.application] = self._pacing(checked.tenant)
        return [one for (tenant, application), pacing in applications.items() for one in (tenant, application, pacing)]

    def _remember(self, operation: Operation) -> None:
        name = operation.tenant, operation.application
        # Without an application, the registry is asked each time: the name may be registered for another one by now.
        if operation.application and name not in self._remembered:
            newest = [*self._remembered.items(), (name, self._pacing(operation.tenant))][-_REMEMBERED:]
            self._remembered = dict(newest)

    def _pacing(self, tenant: str) -> bytes:
        return pack_settings(LimiterSettings.of(self._settings, self._settings.tenant_named(tenant)))

    def _observation(self, operation: Operation, readings: Sequence[Reading]) -> list[Any]:
        if not readings:
            return []
        packed = pack_readings(
            readings,
            now=time.monotonic(),
            wall_now=time.time(),
            longest_hint_s=self._settings.longest_hint,
        )
        return ["observed", self._keys.limiter(operation.tenant, operation.kind.endpoint), packed]
