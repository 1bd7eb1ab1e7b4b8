"""Figures over all campaigns, from their records in Redis."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.redis.keys import as_text
from gatepost_core.states import OPEN_STATES, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

MOST_READ: Final = 1000
"""Open campaigns that one look reads, and the newest ones beside them."""
_MOST_OUT: Final = 64
_MOST_BATCHES: Final = 2000
_FIELDS: Final = ("status", "pause_reason", "rests_until", "rate", "total", *(state.value for state in State))
# A publication doubles the time until the next, up to this number of times: see rows.lua.
_DOUBLINGS: Final = 6


@dataclass(slots=True)
class CampaignSums:
    """Sums over campaigns. They name none.

    Attributes:
        statuses: campaigns by status.
        pauses: paused campaigns by reason.
        recipients: recipients of open campaigns by state.
        rate: recipients a second of the running campaigns.
        sending: running campaigns with open recipients that do not rest.
        blocked: open campaigns with blocked batches.
        inconsistent: open campaigns whose counts do not add up.
        unread: campaigns that were not read.
        oldest_s: how long the oldest published batch has waited for a worker.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    pauses: Counter[PauseReason] = field(default_factory=Counter)
    recipients: Counter[State] = field(default_factory=Counter)
    rate: float = 0.0
    sending: int = 0
    blocked: int = 0
    inconsistent: int = 0
    unread: int = 0
    oldest_s: float = 0.0


def read_campaigns(client: Redis, keys: RedisKeys, *, now_ms: int, look_after_ms: int) -> CampaignSums:
    """Return the sums over the campaigns, in four round trips.

    Args:
        client: the connection; only reading commands are sent.
        keys: the names in Redis.
        now_ms: the time by Redis's clock.
        look_after_ms: when the reconciler first looks at a published batch, in milliseconds after its publication.

    Raises:
        RedisError: Redis did not answer.
    """
    every: Any = client.zcard(keys.campaigns)
    newest: Any = client.zrevrange(keys.campaigns, 0, MOST_READ - 1)
    active = sorted(map(as_text, client.smembers(keys.active_campaigns)), reverse=True)[:MOST_READ]
    names = list(dict.fromkeys([*active, *map(as_text, newest)]))
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.hmget(name, _FIELDS)
        for name in active:
            pipeline.hlen(keys.blocked(keys.campaign_id_of(name)))
        found = pipeline.execute()
    sums = CampaignSums(unread=max(0, every - len(names)))
    records = dict(zip(names, map(_read, found), strict=False))
    for blocked in found[len(names) :]:
        sums.blocked += bool(blocked)
    sending = [name for name in names if _add(sums, records[name], is_open=name in set(active), now_ms=now_ms)]
    sums.oldest_s = _oldest_s(client, keys, sending, now_ms=now_ms, look_after_ms=look_after_ms)
    return sums


def _read(values: Sequence[Any]) -> dict[str, str]:
    return {name: as_text(value) for name, value in zip(_FIELDS, values, strict=True) if value is not None}


def _add(sums: CampaignSums, record: dict[str, str], *, is_open: bool, now_ms: int) -> bool:
    """Add one campaign, and return whether it is sending."""
    status = record.get("status")
    if status not in set(Status):
        return False
    sums.statuses[Status(status)] += 1
    if not is_open:
        return False
    if status == Status.PAUSED and record.get("pause_reason") in set(PauseReason):
        sums.pauses[PauseReason(record["pause_reason"])] += 1
    counts = {state: _number(record.get(state.value)) for state in State}
    sums.inconsistent += sum(counts.values()) != _number(record.get("total")) or min(counts.values()) < 0
    sums.recipients.update({state: max(0, int(number)) for state, number in counts.items()})
    if status != Status.RUNNING:
        return False
    sums.rate += _number(record.get("rate"))
    is_sending = _number(record.get("rests_until")) <= now_ms and any(counts[state] for state in OPEN_STATES)
    sums.sending += is_sending
    return is_sending


def _oldest_s(client: Redis, keys: RedisKeys, sending: Iterable[str], *, now_ms: int, look_after_ms: int) -> float:
    """Return how long the oldest batch has waited that is published, due, and not in a worker."""
    ids = [keys.campaign_id_of(name) for name in sending]
    if not ids:
        return 0.0
    with client.pipeline(transaction=False) as pipeline:
        for campaign_id in ids:
            pipeline.zrange(keys.out(campaign_id), 0, _MOST_OUT - 1, withscores=True)
            pipeline.zrange(keys.held(campaign_id), 0, -1)
        found = pipeline.execute()
    waiting = [
        (keys.batch(campaign_id, int(number)), looked_at)
        for campaign_id, out, held in zip(ids, found[::2], found[1::2], strict=True)
        for number, looked_at in out
        if number not in set(held)
    ][:_MOST_BATCHES]
    with client.pipeline(transaction=False) as pipeline:
        for key, _ in waiting:
            pipeline.hget(key, "published")
        published = pipeline.execute() if waiting else []
    since = [
        looked_at - look_after_ms * _lookouts(int(_number(number)))
        for (_, looked_at), number in zip(waiting, published, strict=True)
        if number is not None
    ]
    # A batch whose time has not come gives a negative wait.
    return max(0.0, now_ms - min(since, default=now_ms)) / 1000


def _lookouts(published: int) -> int:
    """Return the sum of the times between the first publication and the next look, in units of the first."""
    return int(sum(2 ** min(number, _DOUBLINGS) for number in range(max(published, 1))))


def _number(text: Any) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return -1.0
