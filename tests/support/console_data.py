"""Campaigns for pages of the console, written to Redis directly: many of them, or one with a million recipients."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.batch import BATCH_ROWS
from gatepost_core.campaigns.wire_format import Record
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from support.campaign_parts import rows
from support.keys import KEYS

if TYPE_CHECKING:
    import redis

    from gatepost_core.settings import Settings

_STATES: Final = (
    (State.ACCEPTED, None, 180),
    (State.REJECTED, Reason.RECIPIENT_REJECTED, 8),
    (State.EXHAUSTED, Reason.NOT_REACHED, 4),
    (State.UNKNOWN, Reason.ANSWER_LOST, 3),
    (State.SUPPRESSED, None, 1),
    (State.QUEUED, None, 60),
)
"""The states of each batch, with a reason and the number of rows."""
_PIPELINE: Final = 500


def make_many(settings: Settings, client: redis.Redis, number: int) -> str:
    """Make copies of a draft with other names. Return the id of the first."""
    with Campaigns(settings, client) as campaigns:
        first = campaigns.create("wave 0")
        campaigns.add(first, rows(3))
    record = client.hgetall(KEYS.campaign(first))
    for start in range(1, number, _PIPELINE):
        with client.pipeline(transaction=False) as pipeline:
            for one in range(start, min(start + _PIPELINE, number)):
                key = KEYS.campaign(str(uuid.uuid4()))
                pipeline.hset(key, mapping={**record, b"name": f"wave {one}"})
                pipeline.zadd(KEYS.campaigns, {key: 1_700_000_000_000 + one})
            pipeline.execute()
    return first


def enlarge(client: redis.Redis, campaign_id: str, batches: int) -> None:
    """Give a draft many batches of recipients in all states. It then has status `paused`."""
    sealed = client.hget(KEYS.batch(campaign_id, 0), "rows")
    states = "".join(state.char * number for state, _, number in _STATES).encode()
    details = b"".join(
        Record(row, reason, 400, 1, 1_700_000_000).pack() for row, reason in enumerate(_reasons()) if reason
    )
    for start in range(0, batches, _PIPELINE):
        with client.pipeline(transaction=False) as pipeline:
            for batch in range(start, min(start + _PIPELINE, batches)):
                values = {"states": states, "rows": sealed or b"", "details": details}
                pipeline.hset(KEYS.batch(campaign_id, batch), mapping=values)
            pipeline.execute()
    counts = {state.value: number * batches for state, _, number in _STATES}
    reasons = {f"reason:{state}:{reason.code}": number * batches for state, reason, number in _STATES if reason}
    whole = {"total": BATCH_ROWS * batches, "batches": batches, "status": "paused"}
    client.hset(KEYS.campaign(campaign_id), mapping={**counts, **reasons, **whole})


def _reasons() -> list[Reason | None]:
    return [reason for _, reason, number in _STATES for _ in range(number)]
