"""An idempotency key lives as long as the record of the operation that it names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import IdempotencyConflict, RecordGone
from gatepost.producer import Producer
from gatepost_core.commands import OnUnknown
from gatepost_core.kinds import Kind
from gatepost_core.ledger.values import NewOperation
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from support.keys import KEYS
from support.ledger_calls import begin_attempt, record_one
from support.ledger_sweep import swept

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost_core.ledger import Ledger
    from gatepost_core.settings import Settings

KEY, SEAL, ANOTHER_SEAL = "a" * 64, "b" * 64, "c" * 64


def new(operation_id: str, **changes: object) -> NewOperation:
    fields: dict[str, object] = {
        "operation_id": operation_id,
        "kind": Kind.SEND_EMAIL,
        "tenant": "default",
        "sealed_command": "sealed",
        "deadline": datetime.now(UTC) + timedelta(days=7),
        "on_unknown": OnUnknown.HOLD,
        "payload_fingerprint": "payload",
        "idempotency_fingerprint": KEY,
    }
    return NewOperation(**{**fields, **changes})  # type: ignore[arg-type] # a table of overrides


def accept(ledger: Ledger) -> None:
    begin_attempt(ledger, "op-1", "first", lease_s=10)
    ledger.settle("op-1", "first", State.ACCEPTED)


def cancel(ledger: Ledger) -> None:
    ledger.close("op-1", State.CANCELLED, Reason.CANCELLED_BY_CALLER)


def lose(ledger: Ledger) -> None:
    begin_attempt(ledger, "op-1", "first", lease_s=0)
    swept(ledger, "op-1")


def erase(ledger: Ledger) -> None:
    ledger.forget("op-1", "person")


@pytest.mark.parametrize("end", [accept, cancel, lose, erase])
def test_a_key_expires_with_the_record_however_the_operation_ends(
    ledger: Ledger, redis_client: redis.Redis, end: Callable[[Ledger], None]
) -> None:
    """An end long before the deadline leaves no gap in which the key names a record that is gone."""
    record_one(ledger, new("op-1", seal_fingerprint=SEAL))
    names = [KEYS.idempotency(KEY), KEYS.idempotency(SEAL)]
    while_open = [redis_client.pttl(name) for name in names]
    end(ledger)

    (of_the_record,) = {redis_client.pexpiretime(name) for name in (KEYS.operation("op-1"), *names)}
    assert while_open == [-1, -1]
    assert of_the_record > 0


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("payload", ["payload", "another"])
def test_a_seal_that_came_under_a_known_key_lives_as_long(
    ledger: Ledger, redis_client: redis.Redis, payload: str, *, ended: bool
) -> None:
    """The answer, the same operation or a conflict, is kept until that operation's record expires."""
    record_one(ledger, new("op-1"))
    if ended:
        accept(ledger)
    again = new("op-2", seal_fingerprint=SEAL, payload_fingerprint=payload, deadline=datetime.now(UTC) + timedelta(1))
    if payload == "payload":
        assert record_one(ledger, again) == "op-1"
    else:
        with pytest.raises(IdempotencyConflict):
            record_one(ledger, again)
    if not ended:
        assert redis_client.pttl(KEYS.idempotency(SEAL)) == -1
        accept(ledger)

    left = [redis_client.pttl(name) for name in (KEYS.operation("op-1"), KEYS.idempotency(SEAL))]
    assert 0 < left[1] <= left[0] + 1
    assert left[0] - left[1] < 1000


@pytest.mark.parametrize("payload", ["payload", "another"])
def test_a_known_key_without_a_record_has_its_own_answer(
    ledger: Ledger, redis_client: redis.Redis, payload: str
) -> None:
    """The operation may have been sent, so nothing is recorded, under the key or under a seal that came with it."""
    record_one(ledger, new("op-1"))
    accept(ledger)
    counts = ledger.counts()
    redis_client.delete(KEYS.operation("op-1"))
    for again in (
        new("op-2", payload_fingerprint=payload),
        new("op-3", payload_fingerprint=payload, seal_fingerprint=SEAL),
        new("op-4", idempotency_fingerprint=None, seal_fingerprint=SEAL),
    ):
        with pytest.raises(RecordGone, match="Nothing is sent"):
            record_one(ledger, again)

    assert ledger.counts() == counts
    assert not redis_client.exists(*(KEYS.operation(f"op-{number}") for number in (1, 2, 3, 4)))


def test_a_key_whose_record_was_lost_while_it_was_open_is_forgotten_in_time(
    ledger: Ledger, redis_client: redis.Redis
) -> None:
    """The record was deleted; the key refuses for the lifetime of a record, and another request does not prolong that."""
    record_one(ledger, new("op-1"))
    redis_client.delete(KEYS.operation("op-1"))
    left = []
    for _ in range(2):
        with pytest.raises(RecordGone):
            record_one(ledger, new("op-2"))
        left.append(redis_client.pttl(KEYS.idempotency(KEY)))
        redis_client.pexpire(KEYS.idempotency(KEY), 1_800_000)

    assert 1_800_000 < left[0] <= 3_600_000
    assert 0 < left[1] <= 1_800_000


def test_the_same_key_after_the_lifetime_is_a_new_operation(ledger: Ledger, redis_client: redis.Redis) -> None:
    """Record and key are forgotten in the same moment."""
    record_one(ledger, new("op-1"))
    accept(ledger)
    for name in (KEYS.operation("op-1"), KEYS.idempotency(KEY)):
        # As time does it, without the wait.
        redis_client.pexpireat(name, 1)

    assert record_one(ledger, new("op-2")) == "op-2"


def test_a_record_names_no_key_but_its_own_kind(ledger: Ledger, redis_client: redis.Redis) -> None:
    """Who may write to a record cannot let anything else expire through it."""
    record_one(ledger, new("op-1"))
    redis_client.set("gatepost:precious", "1")
    redis_client.hset(KEYS.idempotency(ANOTHER_SEAL), mapping={"operation": "op-9", "answer": "existing"})
    redis_client.hset(KEYS.operation("op-1"), "keys", f"{ANOTHER_SEAL} ../gatepost:precious {KEY}")
    accept(ledger)

    assert redis_client.pttl("gatepost:precious") == -1
    assert redis_client.pttl(KEYS.idempotency(ANOTHER_SEAL)) == -1
    assert redis_client.pttl(KEYS.idempotency(KEY)) > 0


def test_a_producer_is_told_that_the_record_is_gone(settings: Settings, redis_client: redis.Redis) -> None:
    """It gets a typed error and no handle of an operation that is not there."""
    with Producer(settings) as producer:
        first = producer.send_email("guest@example.com", idempotency_key="invitation-4711")
        redis_client.delete(KEYS.operation(first.operation_id))

        with pytest.raises(RecordGone):
            producer.send_email("guest@example.com", idempotency_key="invitation-4711")
