"""The state of webhook endpoints and the events that wait for them, read without a sealing key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gatepost_core.redis.keys import as_text
from gatepost_operations.monitoring import names
from gatepost_worker.metrics.counts import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

# The events of an endpoint that a look reads. They lie in the order in which they are due, not in that of their age.
_MOST_EVENTS: Final = 200
# The reason that an endpoint's record has.
_OPERATOR: Final = "operator"


def webhook_samples(client: Redis, keys: RedisKeys, *, now_ms: int) -> Iterator[Sample]:
    """Yield the number of endpoints by state, and the age of the oldest event that waits for an enabled one.

    Args:
        client: the connection.
        keys: the names in this Redis.
        now_ms: Redis's clock, in milliseconds since the epoch.
    """
    found = dict.fromkeys(names.EndpointState, 0)
    oldest_ms = now_ms
    for endpoint_id in map(as_text, client.zrange(keys.webhooks, 0, -1)):
        fields = ["status", "failing_since", "cursor", "disabled_reason"]
        status, failing, cursor, reason = client.hmget(keys.webhook(endpoint_id), fields)
        if status is None:  # removed meanwhile
            continue
        if as_text(status) != names.EndpointState.ENABLED:
            by_operator = as_text(reason or b"") == _OPERATOR
            found[names.EndpointState.SWITCHED_OFF if by_operator else names.EndpointState.DISABLED] += 1
            continue
        found[names.EndpointState.FAILING if failing else names.EndpointState.ENABLED] += 1
        oldest_ms = min(oldest_ms, *_times(client, keys, endpoint_id, as_text(cursor or b"0-0")), now_ms)
    for state, number in found.items():
        yield Sample(names.WEBHOOK_ENDPOINTS, (state.value,), number)
    yield Sample(names.WEBHOOK_OLDEST, (), (now_ms - oldest_ms) / 1000)


def _times(client: Redis, keys: RedisKeys, endpoint_id: str, cursor: str) -> Iterator[int]:
    """Yield the times of events that wait for an endpoint: of those it was offered, and of the first that it was not."""
    offered: Any = client.zrange(keys.webhook_due(endpoint_id), 0, _MOST_EVENTS - 1)
    unread: Any = client.xrange(keys.webhook_events, f"({cursor}", count=1)
    for event_id in (*offered, *(one for one, _ in unread)):
        yield int(as_text(event_id).partition("-")[0])
