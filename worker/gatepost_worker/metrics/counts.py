"""The counts of one worker process. Recording needs no library; `exposition` shows the counts to Prometheus."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from gatepost_core.blocks import BlockKind
from gatepost_core.kinds import Endpoint, Kind
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.metrics import names
from gatepost_worker.metrics.names import BUCKETS_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gatepost_core.kinds import Lane
    from gatepost_worker.limiter import LimiterKey, Reading
    from gatepost_worker.metrics.names import Metric

MOST_TENANTS: Final = 20
"""Tenants with separate series. The others share one, so that the configuration does not decide the number of series."""
OTHER_TENANTS: Final = "other"
_READING_LASTS_S: Final = 300.0
_AFTER_ATTEMPT: Final = frozenset({State.REJECTED, State.EXHAUSTED, State.UNKNOWN})


class Attempt(NamedTuple):
    """The labels of an attempt that ended.

    Attributes:
        kind: the kind of operation.
        outcome: the state that followed.
        reason: why; empty for a success.
    """

    kind: str
    outcome: str
    reason: str


class Sample(NamedTuple):
    """One value of a metric."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


class Histogram(NamedTuple):
    """The observations of one series: how many lie in each bucket, the last one without a bound, and their sum."""

    labels: tuple[str, ...]
    in_buckets: tuple[int, ...]
    total: float


class WorkerMetrics:
    """Counts a worker's attempts, answers and waits. Safe to share between threads.

    A batch records a step at a time, not a row at a time.
    """

    def __init__(self, tenants: Iterable[str] = (), *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin at zero. Prometheus sees the first increase of a counter only if the counter was there before.

        Args:
            tenants: the configured tenants, in the order in which they get series.
            monotonic: a monotonic clock, in seconds.
        """
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counts: dict[tuple[Metric, tuple[str, ...]], float] = {}
        self._answers: dict[tuple[str, ...], list[float]] = {}
        self._quotas: dict[tuple[str, ...], tuple[float, int, int]] = {}
        self._tenants: set[str] = set()
        # Each gives samples when Prometheus asks.
        self.live: list[Callable[[], Iterable[Sample]]] = []
        self._begin(tenants)

    def attempts(self, ended: Mapping[Attempt, int]) -> None:
        """Count attempts that ended."""
        with self._lock:
            for labels, number in ended.items():
                self._add(names.ATTEMPTS, labels, number)

    def answered(self, key: LimiterKey, readings: Sequence[Reading]) -> None:
        """Record answers of one endpoint: their latency, their 429s, and the quota that the newest one states."""
        if not readings:
            return
        all_limits = [reading.limits for reading in readings]
        seconds = [
            limits.received_at - limits.sent_at
            for limits in all_limits
            if limits.received_at is not None and limits.sent_at is not None
        ]
        refused = sum(reading.refused for reading in readings)
        newest = all_limits[-1]
        with self._lock:
            labels = (self._tenant(key.tenant), key.endpoint)
            in_buckets = self._answers.setdefault(labels, [0] * (len(BUCKETS_S) + 2))
            for one in seconds:
                in_buckets[bisect_left(BUCKETS_S, one)] += 1
            in_buckets[-1] += sum(seconds)
            if refused:
                self._add(names.THROTTLED, labels, refused)
            if newest.limit is not None and newest.remaining is not None:
                self._quotas[(*labels, "tenant")] = (self._monotonic(), newest.limit, newest.remaining)
            if newest.client_quota is not None:
                quota = newest.client_quota
                self._quotas[(*labels, "client")] = (self._monotonic(), quota.quota, quota.remaining)

    def waited(self, key: LimiterKey, lane: Lane, seconds: float) -> None:
        """Record that the limiter gave no permit, so the caller waits."""
        with self._lock:
            labels = (self._tenant(key.tenant), key.endpoint, lane.value)
            self._add(names.WAITS, labels, 1)
            self._add(names.WAITED, labels, seconds)

    def add(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._add(metric, labels, by)

    def samples(self) -> list[Sample]:
        """Return all values but the histograms."""
        with self._lock:
            found = [Sample(metric, labels, value) for (metric, labels), value in self._counts.items()]
            quotas = list(self._quotas.items())
        oldest = self._monotonic() - _READING_LASTS_S
        for labels, (at, limit, left) in quotas:
            if at < oldest:
                # A worker without calls would show an old level for ever.
                continue
            found += [Sample(names.QUOTA_LIMIT, labels, limit), Sample(names.QUOTA_LEFT, labels, left)]
            found.append(Sample(names.QUOTA_USED, labels, 1 - min(left, limit) / limit if limit else 1.0))
        for samples in self.live:
            found.extend(samples())
        return found

    def histograms(self) -> list[Histogram]:
        """Return the latencies of answers, a histogram for each tenant and endpoint."""
        with self._lock:
            return [
                Histogram(labels, tuple(int(number) for number in values[:-1]), values[-1])
                for labels, values in self._answers.items()
            ]

    def _begin(self, tenants: Iterable[str]) -> None:
        pairs = [(state, reason.value) for reason in Reason for state in reason.states if state in _AFTER_ATTEMPT]
        pairs += [(State.QUEUED, reason.value) for reason in Reason if reason.pauses]
        for kind in Kind:
            for state, reason in (*pairs, (State.ACCEPTED, ""), (State.DEFERRED, "rate_limited")):
                self._add(names.ATTEMPTS, Attempt(kind.value, state.value, reason), 0)
        for tenant in tenants:
            for endpoint in Endpoint:
                self._add(names.THROTTLED, (self._tenant(tenant), endpoint.value), 0)
        for repair in names.Repair:
            self._add(names.REPAIRS, (repair.value,), 0)
        for result in names.WebhookResult:
            self._add(names.WEBHOOKS, (result.value,), 0)
        for why in BlockKind:
            for work in names.Work:
                self._add(names.BLOCKED, (work.value, why.value), 0)

    def _add(self, metric: Metric, labels: tuple[str, ...], by: float) -> None:
        key = (metric, labels)
        self._counts[key] = self._counts.get(key, 0) + by

    def _tenant(self, name: str) -> str:
        if name not in self._tenants:
            if len(self._tenants) >= MOST_TENANTS:
                return OTHER_TENANTS
            self._tenants.add(name)
        return name
