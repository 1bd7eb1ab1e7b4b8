"""At its deadline an operation is past it, by the millisecond and by Redis's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatepost_core.commands import OnUnknown
from gatepost_core.kinds import Kind
from gatepost_core.ledger import Ledger
from gatepost_core.ledger.values import NewOperation, Verdict
from gatepost_core.states import State
from support.clocked_redis import ClockedRedis
from support.keys import KEYS
from support.ledger_calls import begin_attempt, record_one
from support.ledger_sweep import swept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.ledger.values import Answer
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey

DEADLINE_MS = 1_800_000_000_000


@pytest.fixture
def client(valkey: EmbeddedValkey) -> Iterator[ClockedRedis]:
    with ClockedRedis.from_url(valkey.url, protocol=2) as opened:
        yield opened


@pytest.fixture
def ledger(client: ClockedRedis) -> Ledger:
    return Ledger(client, KEYS, record_lifetime_s=3600, republish_after_s=30)


def record(ledger: Ledger, client: ClockedRedis, at_ms: int) -> None:
    client.set_clock(at_ms)
    record_one(
        ledger,
        NewOperation(
            operation_id="op-1",
            kind=Kind.SEND_EMAIL,
            tenant="default",
            sealed_command="sealed",
            deadline=datetime.fromtimestamp(DEADLINE_MS / 1000, UTC),
            on_unknown=OnUnknown.HOLD,
        ),
    )


@pytest.mark.parametrize(
    ("call", "earlier"),
    [
        (lambda ledger: begin_attempt(ledger, "op-1", "first", lease_s=10), Verdict.BEGUN),
        (lambda ledger: swept(ledger, "op-1"), Verdict.PUBLISH),
        (lambda ledger: ledger.postpone("op-1", 10, free=True), Verdict.POSTPONED),
    ],
    ids=["begin", "sweep", "postpone"],
)
def test_an_operation_expires_at_its_deadline_and_not_before(
    ledger: Ledger, client: ClockedRedis, call: Callable[[Ledger], Answer], earlier: Verdict
) -> None:
    """A millisecond earlier the operation continues."""
    record(ledger, client, DEADLINE_MS - 1)
    before = call(ledger).verdict
    client.flushall()
    record(ledger, client, DEADLINE_MS - 1)
    client.set_clock(DEADLINE_MS)

    assert before is earlier
    assert call(ledger).state is State.EXPIRED


@pytest.mark.parametrize(("at_ms", "kept"), [(DEADLINE_MS - 1, True), (DEADLINE_MS, False)])
def test_a_command_that_comes_at_its_deadline_is_not_stored(
    ledger: Ledger, client: ClockedRedis, at_ms: int, *, kept: bool
) -> None:
    """It will not be sent, so nothing of its recipient is kept."""
    record(ledger, client, at_ms)

    assert client.hexists("gatepost:operation:op-1", "command") is kept
