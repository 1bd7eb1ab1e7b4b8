"""The memory that ended operations and idempotency keys take in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost_core.states import State
from support.keys import KEYS
from support.ledger_calls import begin_attempt

if TYPE_CHECKING:
    import redis

    from gatepost import Producer

COUNT = 400
# The expiry of a key and its share in Redis's own tables, which MEMORY USAGE leaves out.
OF_A_KEY = 56


def bytes_of(client: redis.Redis, pattern: str) -> float:
    """The memory of the keys of a pattern, for each of the operations."""
    return sum(OF_A_KEY + client.memory_usage(key) for key in client.keys(pattern)) / COUNT


@pytest.fixture
def settled(producer: Producer) -> list[str]:
    """Sends with idempotency keys that Auth0 has accepted."""
    sends = (
        {"kind": "send_email", "email": f"guest-{number}@example.com", "idempotency_key": f"key {number}"}
        for number in range(COUNT)
    )
    ids = [result.operation_id or "" for result in producer.send_many(sends)]
    for operation_id in ids:
        begin_attempt(producer.ledger, operation_id, "0123456789abcdef", 30)
        producer.ledger.settle(operation_id, "0123456789abcdef", State.ACCEPTED, http_status=200)
    return ids


def test_a_settled_send_and_its_entry_for_erasures_take_500_bytes(
    redis_client: redis.Redis, settled: list[str]
) -> None:
    """Redis keeps the record and the index in their compact forms."""
    taken = bytes_of(redis_client, KEYS.operation("*")) + bytes_of(redis_client, KEYS.recipients("*"))

    assert {redis_client.object("encoding", KEYS.operation(one)) for one in settled} == {b"listpack"}
    assert taken <= 500


@pytest.mark.usefixtures("settled")
def test_an_idempotency_key_takes_300_bytes(redis_client: redis.Redis) -> None:
    """It names its operation and the fingerprint of its command, and nothing else."""
    assert bytes_of(redis_client, KEYS.idempotency("*")) <= 300


def test_an_ended_record_keeps_what_an_outcome_shows(
    producer: Producer, redis_client: redis.Redis, settled: list[str]
) -> None:
    """Options, tenant and links to other keys go with the sealed command."""
    kept = redis_client.hkeys(KEYS.operation(settled[0]))

    assert set(kept) == {
        *(b"kind", b"state", b"attempts", b"created", b"updated", b"deadline", b"http_status", b"settled_by")
    }
    assert producer.handle(settled[0]).outcome().state is State.ACCEPTED
