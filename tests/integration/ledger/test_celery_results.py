"""An operation's end is stored as Celery's result, so that Celery's clients in any language wait for it as for any task."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery

from gatepost.errors import AccessDenied, OperationFailed, OperationNotFound
from gatepost_core.commands import OnUnknown
from gatepost_core.errors import failure_of
from gatepost_core.kinds import Kind
from gatepost_core.ledger import Ledger, ledger_at
from gatepost_core.ledger.values import NewOperation, Verdict
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from support.keys import KEYS
from support.ledger_calls import begin_attempt, record_one
from support.ledger_sweep import swept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost_core.settings import Settings
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey

DETAIL = "a_code"
DIGEST = "the digest of a redeem token"


@pytest.fixture
def stock(valkey: EmbeddedValkey) -> Iterator[Celery]:
    """A plain Celery app that only knows where results are."""
    with Celery("stock", backend=valkey.url, set_as_current=False) as app:
        yield app


def recorded(ledger: Ledger, operation_id: str = "op-1", **changes: Any) -> None:
    fields = {
        "kind": Kind.LOGIN_WITH_EMAIL,
        "tenant": "default",
        "sealed_command": "sealed",
        "deadline": datetime.now(UTC) + timedelta(minutes=5),
        "on_unknown": OnUnknown.HOLD,
        "redeem_digest": DIGEST,
    }
    record_one(ledger, NewOperation(operation_id, **{**fields, **changes}))


def settled(ledger: Ledger, operation_id: str = "op-1", state: State = State.ACCEPTED, **end: Any) -> None:
    recorded(ledger, operation_id)
    begin_attempt(ledger, operation_id, "attempt", lease_s=10)
    assert ledger.settle(operation_id, "attempt", state, **end).verdict is Verdict.SETTLED


def failure_told_to(stock: Celery, operation_id: str = "op-1") -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        stock.AsyncResult(operation_id).get(timeout=60)
    return caught.value


def test_a_stock_client_gets_the_sealed_result(ledger: Ledger, stock: Celery) -> None:
    """With the fields that every result of Celery has."""
    settled(ledger, sealed_result="sealed tokens")
    result = stock.AsyncResult("op-1")

    assert result.get(timeout=60) == "sealed tokens"
    assert (result.state, result.traceback, result.children) == ("SUCCESS", None, None)
    assert result.date_done == ledger.outcome("op-1").updated_at


def test_a_stock_client_that_waits_already_is_told(ledger: Ledger, stock: Celery, redis_client: redis.Redis) -> None:
    """It listens on the channel with the name of the result's key."""
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(stock.AsyncResult("op-1").get(timeout=60)))
    waiting.start()
    while not redis_client.pubsub_numsub(KEYS.celery_result("op-1"))[0][1]:
        waiting.join(0.01)

    settled(ledger, sealed_result="sealed tokens")
    waiting.join(60)

    assert got == ["sealed tokens"]


@pytest.mark.parametrize(("reason", "state"), [(reason, state) for reason in Reason for state in reason.states])
def test_each_failure_is_raised_as_the_same_typed_error(
    ledger: Ledger, stock: Celery, reason: Reason, state: State
) -> None:
    """By `AsyncResult.get()` as by a handle, with the same attributes."""
    settled(ledger, state=state, reason=reason, detail=DETAIL)
    failure, expected = failure_told_to(stock), failure_of("op-1", reason, DETAIL, state)

    assert (type(failure), failure.args) == (type(expected), expected.args)


def test_a_failure_without_a_code_of_auth0_has_no_detail(ledger: Ledger, stock: Celery) -> None:
    """As with a handle."""
    settled(ledger, state=State.REJECTED, reason=Reason.ACCESS_DENIED)

    assert failure_told_to(stock).detail is None


def test_a_result_lives_exactly_as_long_as_its_record(ledger: Ledger, redis_client: redis.Redis) -> None:
    """An outcome lives as long for other languages as for Python."""
    settled(ledger)
    expiries = {redis_client.pexpiretime(key) for key in (KEYS.operation("op-1"), KEYS.celery_result("op-1"))}

    assert len(expiries) == 1
    assert 3500 < redis_client.ttl(KEYS.celery_result("op-1")) <= 3600


def test_an_end_without_a_worker_is_told_too(ledger: Ledger, stock: Celery, redis_client: redis.Redis) -> None:
    """Cancelled, expired in the sweep, lost with its worker, restored from a backup."""
    recorded(ledger, "cancelled")
    ledger.close("cancelled", State.CANCELLED, Reason.CANCELLED_BY_CALLER)
    recorded(ledger, "expired", deadline=datetime.now(UTC) - timedelta(seconds=1))
    swept(ledger, "expired")
    recorded(ledger, "lost")
    begin_attempt(ledger, "lost", "attempt", lease_s=10)
    redis_client.hset(KEYS.operation("lost"), "lease", 1)
    swept(ledger, "lost")
    recorded(ledger, "restored")
    ledger.recover("restored")

    told = [failure_told_to(stock, one).reason for one in ("cancelled", "expired", "lost", "restored")]
    assert told == [
        Reason.CANCELLED_BY_CALLER,
        Reason.DEADLINE_PASSED,
        Reason.WORKER_LOST,
        Reason.BACKUP_RESTORED,
    ]


def test_a_redeemed_result_is_gone_and_a_refusals_error_stays(ledger: Ledger, stock: Celery) -> None:
    """Only the sealed part is deleted; a caller can still see why the login failed."""
    settled(ledger, "tokens", sealed_result="sealed tokens")
    settled(ledger, "denied", State.REJECTED, reason=Reason.ACCESS_DENIED, detail=DETAIL, sealed_result="sealed words")

    redeemed = [ledger.redeem(one, DIGEST) for one in ("tokens", "denied")]

    assert redeemed == ["sealed tokens", "sealed words"]
    assert [ledger.sealed_result(one) for one in ("tokens", "denied")] == [None, None]
    assert stock.AsyncResult("tokens").state == "PENDING"
    failure = failure_told_to(stock, "denied")
    assert isinstance(failure, AccessDenied)
    assert failure.args == ("denied", Reason.ACCESS_DENIED, DETAIL)


def test_a_refusals_error_lives_no_longer_because_its_message_was_redeemed(
    ledger: Ledger, redis_client: redis.Redis
) -> None:
    """It keeps the record's expiry."""
    settled(ledger, state=State.REJECTED, reason=Reason.ACCESS_DENIED, sealed_result="sealed words")
    ledger.redeem("op-1", DIGEST)

    assert redis_client.pexpiretime(KEYS.celery_result("op-1")) == redis_client.pexpiretime(KEYS.operation("op-1"))


def test_a_missing_record_is_told_and_hides_no_result(ledger: Ledger, stock: Celery, redis_client: redis.Redis) -> None:
    """A caller of `AsyncResult.get()` does not wait for ever."""
    settled(ledger, "op-2", sealed_result="sealed tokens")
    redis_client.delete(KEYS.operation("op-2"))
    for operation_id in ("op-1", "op-2"):
        ledger.answer_missing(operation_id)

    with pytest.raises(OperationNotFound):
        stock.AsyncResult("op-1").get(timeout=60)
    assert 3500 < redis_client.ttl(KEYS.celery_result("op-1")) <= 3600
    assert stock.AsyncResult("op-2").get(timeout=60) == "sealed tokens"


def test_an_open_operation_has_no_result(ledger: Ledger, redis_client: redis.Redis) -> None:
    """Neither while it waits, nor while an attempt is under way, nor after a wait."""
    recorded(ledger)
    begin_attempt(ledger, "op-1", "attempt", lease_s=10)
    ledger.postpone("op-1", 1, attempt="attempt", free=True)
    ledger.answer_missing("op-1")

    assert not redis_client.exists(KEYS.celery_result("op-1"))


def test_a_namespace_has_its_own_results(make_settings: Callable[..., Settings], redis_client: redis.Redis) -> None:
    """As Celery's prefix for the namespace has them."""
    ledger = ledger_at(redis_client, make_settings(namespace="staging"))
    settled(ledger)
    stored = json.loads(redis_client.get("staging:celery-task-meta-op-1") or "{}")

    assert (stored["status"], stored["result"], stored["task_id"]) == ("SUCCESS", None, "op-1")
    assert not redis_client.exists(KEYS.celery_result("op-1"))


@pytest.mark.parametrize(
    "at",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2000, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2024, 2, 29, 12, tzinfo=UTC),
        datetime(2024, 12, 31, 1, 2, 3, 4_000, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2100, 2, 28, tzinfo=UTC),
        datetime(2100, 3, 1, tzinfo=UTC),
    ],
)
def test_a_time_is_written_as_python_writes_it(redis_client: redis.Redis, at: datetime) -> None:
    """Redis's Lua has no calendar; leap days and the ends of years are where one goes wrong."""
    library = resources.files("gatepost_core.ledger").joinpath("celery_result.lua").read_text(encoding="utf-8")
    written = redis_client.eval(f"{library}\nreturn iso_time(tonumber(ARGV[1]))", 0, int(at.timestamp() * 1000))

    assert written.decode() == at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
