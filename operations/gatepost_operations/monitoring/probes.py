"""The last results of the login probe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.errors import CorruptRecord
from gatepost_core.kinds import CAMPAIGN_KINDS
from gatepost_core.probe_results import REASONS, ProbeResults
from gatepost_core.tenant_registry import TenantRegistry
from gatepost_operations.monitoring import names
from gatepost_worker.metrics.counts import MOST_TENANTS, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

_UNKNOWN: Final = "unknown"


def probe_samples(client: Redis, keys: RedisKeys, configured: Iterable[str]) -> Iterator[Sample]:
    """Yield the results for each tenant that is registered or configured, up to a bound, and each channel.

    Args:
        client: the connection; only reading commands are sent.
        keys: the names in Redis.
        configured: the names of the tenants in the settings.

    Raises:
        Unavailable: Redis did not answer.
    """
    results = ProbeResults(client, keys)
    tenants = sorted({*configured, *TenantRegistry(client, keys).all()})[:MOST_TENANTS]
    for tenant in tenants:
        for channel in CAMPAIGN_KINDS:
            try:
                result = results.read(tenant, channel)
            except CorruptRecord:
                # It hides no other metric. The probe counts as silent until it runs again.
                continue
            if result is None:
                continue
            labels = (tenant, channel.value)
            yield Sample(names.PROBE_SUCCESS, labels, result.succeeded)
            yield Sample(names.PROBE_RUN, labels, result.ended_at.timestamp())
            if result.last_success_at is not None:
                yield Sample(names.PROBE_LAST_SUCCESS, labels, result.last_success_at.timestamp())
            for step, seconds in result.seconds.items():
                yield Sample(names.PROBE_STEP, (*labels, step.value), seconds)
            if not result.succeeded:
                failed = _UNKNOWN if result.step is None else result.step.value
                # Other reasons are those of a later version. The label's values are bounded.
                reason = result.reason if result.reason in REASONS else _UNKNOWN
                yield Sample(names.PROBE_FAILURE, (*labels, failed, reason), 1)
