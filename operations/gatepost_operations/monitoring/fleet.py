"""The metrics of the fleet: a collector over the ledger, the campaigns and the broker. It needs no sealing key and writes nothing."""

from __future__ import annotations

from contextlib import closing, suppress
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoPermissionError, RedisError

from gatepost_core.broker.publishing import BROKER_ERRORS, build_app
from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.errors import Unavailable
from gatepost_core.kinds import Kind, Queue
from gatepost_core.ledger import ledger_at
from gatepost_core.redis.connections import connect, connect_to_broker
from gatepost_core.redis.errors import translate
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.states import State
from gatepost_operations.monitoring import names
from gatepost_operations.monitoring.campaigns import read_campaigns
from gatepost_operations.monitoring.operations import oldest_s
from gatepost_operations.monitoring.probes import probe_samples
from gatepost_operations.monitoring.webhooks import webhook_samples
from gatepost_worker.metrics.counts import Sample
from gatepost_worker.metrics.exposition import families
from gatepost_worker.upkeep.queue_sizes import QueueSizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric as Family
    from redis import Redis

    from gatepost_core.settings import Settings

_MINUTE_MS: Final = 60_000


class FleetSource:
    """Reads the fleet's state at each scrape. Safe to share between threads.

    Attributes:
        failure: why Redis could not be read last.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare; it connects with the first scrape.

        Args:
            settings: the configuration. Its Redis user may be `reader`.
        """
        self._settings = settings
        self._keys = RedisKeys(settings.namespace)
        self._redis = connect(settings)
        self.failure = ""

    def collect(self) -> Iterator[Family]:
        """Yield the families. While Redis does not answer, only the metrics that report this."""
        yield from families(self.samples())

    def samples(self) -> list[Sample]:
        """Return all values."""
        try:
            tenants = self._settings.applications()
            found = [*self._ledger(), *self._campaigns(), *probe_samples(self._redis, self._keys, tenants)]
        except (RedisError, Unavailable, OSError) as failure:
            self.failure = _sentence(failure)
            found = [Sample(names.REDIS_UP, (), 0)]
        try:
            found += self._broker()
        except (*BROKER_ERRORS, RedisError, OSError):
            found.append(Sample(names.BROKER_UP, (), 0))
        return found

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _ledger(self) -> Iterator[Sample]:
        client, keys = self._redis, self._keys
        now_ms = _now_ms(client)
        yield Sample(names.REDIS_UP, (), 1)
        yield from self._memory()
        counts = ledger_at(client, self._settings).counts()
        for kind, state in product(Kind, State):
            metric = names.OPERATIONS_ENDED if state.is_terminal else names.OPERATIONS_OPEN
            yield Sample(metric, (kind.value, state.value), max(0, counts.get((kind, state), 0)))
        for queue, waited_s in oldest_s(client, keys, now_ms=now_ms).items():
            yield Sample(names.QUEUE_OLDEST, (queue.value,), waited_s)
        kept_since = now_ms - self._settings.dead_letter_lifetime * 1000
        yield Sample(names.DEAD_LETTERS, (), client.zcount(keys.dead_letters, kept_since, "+inf"))
        yield Sample(names.BULK_WORKERS, (), client.zcount(keys.bulk_workers, now_ms - _MINUTE_MS, "+inf"))
        yield Sample(names.SUPPRESSION, (), float(client.hget(keys.suppression, "index_size") or 0))
        # A reader with the rights of an earlier version misses these metrics alone.
        with suppress(NoPermissionError):
            yield from webhook_samples(client, keys, now_ms=now_ms)
        last: Any = client.get(keys.reconciler_last_run)
        if last is not None:
            yield Sample(names.RECONCILER_LAG, (), max(0, now_ms - int(last)) / 1000)

    def _memory(self) -> Iterator[Sample]:
        # A user without INFO misses this metric alone.
        with suppress(NoPermissionError):
            info: Any = self._redis.info("memory")
            if info.get("maxmemory"):
                yield Sample(names.REDIS_MEMORY, (), info["used_memory"] / info["maxmemory"])

    def _campaigns(self) -> Iterator[Sample]:
        sums = read_campaigns(
            self._redis,
            self._keys,
            now_ms=_now_ms(self._redis),
            look_after_ms=int(self._settings.republish_after * 1000),
        )
        for status in Status:
            yield Sample(names.CAMPAIGNS, (status.value,), sums.statuses[status])
        for reason in PauseReason:
            yield Sample(names.CAMPAIGNS_PAUSED, (reason.value,), sums.pauses[reason])
        for state in State:
            yield Sample(names.RECIPIENTS, (state.value,), sums.recipients[state])
        yield Sample(names.CAMPAIGN_RATE, (), sums.rate)
        yield Sample(names.CAMPAIGNS_SENDING, (), sums.sending)
        yield Sample(names.CAMPAIGNS_BLOCKED, (), sums.blocked)
        yield Sample(names.CAMPAIGNS_WRONG, (), sums.inconsistent)
        yield Sample(names.CAMPAIGNS_UNREAD, (), sums.unread)
        yield Sample(names.QUEUE_OLDEST, (Queue.BULK.value,), sums.oldest_s)

    def _broker(self) -> list[Sample]:
        sizes = [Sample(names.QUEUE_MESSAGES, (queue.value,), size) for queue, size in self._sizes().items()]
        return [Sample(names.BROKER_UP, (), 1), *sizes]

    def _sizes(self) -> dict[Queue, int]:
        settings = self._settings
        if settings.broker == settings.redis_url.get_secret_value():
            return self._lengths(self._redis)
        client = connect_to_broker(settings)
        if client is not None:
            with closing(client):
                return self._lengths(client)
        queues = {self._keys.queue(queue): queue for queue in Queue}
        with closing(QueueSizes(build_app(settings), queues)) as sizes:
            return {queues[name]: size for name, size in sizes.read().items()}

    def _lengths(self, client: Redis) -> dict[Queue, int]:
        lengths: dict[Queue, Any] = {
            queue: client.llen(self._keys.queue_key(self._keys.queue(queue))) for queue in Queue
        }
        return lengths


def _sentence(failure: Exception) -> str:
    return str(translate(failure, if_lost="", if_refused="") if isinstance(failure, RedisError) else failure).rstrip()


def _now_ms(client: Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000
