"""Attempts wait for replicas: a real master and a real replica."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import redis

from gatepost.errors import Unavailable
from gatepost_core.commands import OnUnknown
from gatepost_core.kinds import Kind
from gatepost_core.ledger import Ledger
from gatepost_core.ledger.values import NewOperation, Verdict
from gatepost_core.redis.replication import Replication
from gatepost_core.states import State
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.keys import KEYS
from support.ledger_calls import begin_attempt, record_one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def master(tmp_path: Path) -> Iterator[redis.Redis]:
    with EmbeddedValkey(tmp_path / "master") as server, redis.Redis.from_url(server.url, protocol=2) as client:
        client.config_set("repl-diskless-sync-delay", 0)
        yield client


@pytest.fixture
def replica(master: redis.Redis, tmp_path: Path) -> Iterator[redis.Redis]:
    with EmbeddedValkey(tmp_path / "replica") as server, redis.Redis.from_url(server.url, protocol=2) as client:
        port = master.connection_pool.connection_kwargs["port"]
        client.replicaof("127.0.0.1", port)
        # The first synchronisation; WAIT returns at once with what there is.
        assert _until_in_step(master)
        yield client


def _until_in_step(master: redis.Redis) -> bool:
    for _ in range(100):
        master.set("x", 1)
        if int(master.wait(1, 100)) == 1:
            return True
    return False


def _ledger(client: redis.Redis) -> Ledger:
    return Ledger(client, KEYS, record_lifetime_s=60, republish_after_s=60, wait_replicas=1)


def _recorded(ledger: Ledger) -> str:
    return record_one(
        ledger,
        NewOperation(
            operation_id=str(uuid.uuid4()),
            kind=Kind.SEND_EMAIL,
            tenant="default",
            sealed_command="sealed",
            deadline=datetime.now(UTC) + timedelta(minutes=1),
            on_unknown=OnUnknown.HOLD,
            payload_fingerprint="f",
        ),
    )


def test_an_attempt_begins_when_a_replica_has_it(master: redis.Redis, replica: redis.Redis) -> None:
    """The replica, asked itself, knows the attempt."""
    ledger = _ledger(master)
    operation_id = _recorded(ledger)

    assert begin_attempt(ledger, operation_id, "attempt", 10).verdict is Verdict.BEGUN
    assert _ledger(replica).outcome(operation_id).state is State.IN_FLIGHT


def test_without_a_replica_an_attempt_is_put_off_and_costs_nothing(master: redis.Redis) -> None:
    """Nothing leaves, and no attempt is spent."""
    ledger = _ledger(master)
    operation_id = _recorded(ledger)

    with pytest.raises(Unavailable, match="replicas"):
        begin_attempt(ledger, operation_id, "attempt", 10)

    outcome = ledger.outcome(operation_id)
    assert (outcome.state, outcome.attempts) == (State.DEFERRED, 0)


def test_what_another_master_never_got_is_not_replicated(master: redis.Redis, replica: redis.Redis) -> None:
    """After a failover the replicas of the new master have the mark, but not the writes of the old one."""
    replication = Replication(master, KEYS, 1)
    master.hset("attempted", "attempt", "of the old master")

    assert replication.reached("attempted", {"attempt": "of the old master"})
    assert not replication.reached("attempted", {"attempt": "another"})
    assert not replication.reached("absent", {"attempt": "of the old master"})
