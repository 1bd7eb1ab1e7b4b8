"""How long single operations wait, from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gatepost_core.kinds import Kind, Queue
from gatepost_core.redis.keys import as_text
from gatepost_core.states import OPEN_STATES, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

MOST_READ: Final = 1000
"""Open operations that one look reads, those whose check by the reconciler is due first. Among more, the oldest is found by chance."""
_FIELDS: Final = ("kind", "state", "updated", "not_before")


def oldest_s(client: Redis, keys: RedisKeys, *, now_ms: int) -> dict[Queue, float]:
    """Return for each queue of operations how long the oldest one has waited that a worker could take now, in seconds.

    Args:
        client: the connection; only reading commands are sent.
        keys: the names in Redis.
        now_ms: the time by Redis's clock.

    Raises:
        RedisError: Redis did not answer.
    """
    ids: Any = client.zrange(keys.due, 0, MOST_READ - 1)
    with client.pipeline(transaction=False) as pipeline:
        for operation_id in ids:
            pipeline.hmget(keys.operation(as_text(operation_id)), _FIELDS)
        records = pipeline.execute() if ids else []
    oldest = {kind.queue: 0.0 for kind in Kind}
    for record in records:
        kind, waited_s = _waiting(record, now_ms)
        if kind is not None:
            oldest[kind.queue] = max(oldest[kind.queue], waited_s)
    return oldest


def _waiting(record: Sequence[Any], now_ms: int) -> tuple[Kind | None, float]:
    """Return the kind of an operation that a worker could take, and how long it has waited; no kind for any other."""
    kind, state, updated, not_before = (as_text(value) if value is not None else "" for value in record)
    waits = state in OPEN_STATES and state != State.IN_FLIGHT
    if not waits or kind not in set(Kind) or not updated.isdecimal():
        return None, 0.0
    since = max(int(updated), int(not_before) if not_before.isdecimal() else 0)
    return (None, 0.0) if since > now_ms else (Kind(kind), (now_ms - since) / 1000)
