"""The ledger against a real Valkey: what each call allows, and that the counts always add up."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import IdempotencyConflict, InvalidCommand, NothingToRedeem, OperationNotFound, Unavailable
from gatepost_core.commands import OnUnknown
from gatepost_core.kinds import Kind
from gatepost_core.ledger import Ledger, ledger_at
from gatepost_core.ledger.values import Answer, NewOperation, Verdict
from gatepost_core.reasons import Reason
from gatepost_core.redis.connections import connect
from gatepost_core.states import State
from support.keys import KEYS
from support.ledger_calls import begin_attempt, record_one
from support.ledger_sweep import swept

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost_core.settings import Settings
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey

DIGEST = "the digest of a redeem token"


def new(operation_id: str = "op-1", **changes: object) -> NewOperation:
    fields: dict[str, object] = {
        "operation_id": operation_id,
        "kind": Kind.SEND_EMAIL,
        "tenant": "default",
        "sealed_command": "sealed",
        "deadline": datetime.now(UTC) + timedelta(minutes=5),
        "on_unknown": OnUnknown.HOLD,
        "payload_fingerprint": "payload",
    }
    return NewOperation(**{**fields, **changes})  # type: ignore[arg-type] # a table of overrides


def test_an_operation_is_queued_when_recorded(ledger: Ledger) -> None:
    """Recording gives the id back and the state is `queued`."""
    assert record_one(ledger, new()) == "op-1"

    assert ledger.outcome("op-1").state is State.QUEUED
    assert ledger.counts() == {(Kind.SEND_EMAIL, State.QUEUED): 1}


def test_recording_twice_counts_once(ledger: Ledger) -> None:
    """A call whose reply was lost is repeated by redis-py; it must not count twice."""
    record_one(ledger, new())
    record_one(ledger, new())

    assert ledger.counts() == {(Kind.SEND_EMAIL, State.QUEUED): 1}


def test_only_one_attempt_begins(ledger: Ledger) -> None:
    """A second delivery of the message finds the first attempt under way."""
    record_one(ledger, new())

    assert begin_attempt(ledger, "op-1", "first", lease_s=10).verdict is Verdict.BEGUN
    assert begin_attempt(ledger, "op-1", "second", lease_s=10).verdict is Verdict.BUSY
    assert begin_attempt(ledger, "op-1", "first", lease_s=10).attempts == 1


def test_of_many_workers_exactly_one_begins(ledger: Ledger) -> None:
    """Twenty threads that begin at the same moment get one permission between them."""
    record_one(ledger, new())
    verdicts: list[Verdict] = []
    start = threading.Barrier(20)

    def begin(number: int) -> None:
        start.wait()
        verdicts.append(begin_attempt(ledger, "op-1", f"attempt-{number}", lease_s=10).verdict)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert verdicts.count(Verdict.BEGUN) == 1
    assert verdicts.count(Verdict.BUSY) == 19


def test_settling_ends_the_operation_and_drops_its_command(ledger: Ledger, redis_client: redis.Redis) -> None:
    """A finished record keeps state, reason and times, and nothing sealed."""
    record_one(ledger, new())
    begin_attempt(ledger, "op-1", "first", lease_s=10)

    answer = ledger.settle(
        "op-1", "first", State.REJECTED, reason=Reason.RECIPIENT_REJECTED, detail="bad.email", http_status=400
    )

    outcome = ledger.outcome("op-1")
    assert answer.verdict is Verdict.SETTLED
    assert (outcome.state, outcome.reason, outcome.detail) == (State.REJECTED, Reason.RECIPIENT_REJECTED, "bad.email")
    assert outcome.http_status == 400
    ready = ledger.ready("op-1")
    assert isinstance(ready, Answer)
    assert ready.verdict is Verdict.FINISHED
    assert b"command" not in redis_client.hgetall(KEYS.operation("op-1"))
    assert 0 < redis_client.pttl(KEYS.operation("op-1")) <= 3_600_000


def test_settling_twice_with_the_same_attempt_gives_the_same_answer(ledger: Ledger) -> None:
    """The reply of the first may have been lost."""
    record_one(ledger, new())
    begin_attempt(ledger, "op-1", "first", lease_s=10)
    ledger.settle("op-1", "first", State.ACCEPTED)

    assert ledger.settle("op-1", "first", State.ACCEPTED).verdict is Verdict.SETTLED
    assert ledger.counts() == {(Kind.SEND_EMAIL, State.ACCEPTED): 1}


def test_an_attempt_that_lost_its_lease_cannot_settle(ledger: Ledger) -> None:
    """`unknown` stays: a terminal state is terminal."""
    record_one(ledger, new())
    begin_attempt(ledger, "op-1", "first", lease_s=0)
    assert begin_attempt(ledger, "op-1", "second", lease_s=10).state is State.UNKNOWN

    late = ledger.settle("op-1", "first", State.ACCEPTED)

    assert late.verdict is Verdict.FINISHED
    assert ledger.outcome("op-1").reason is Reason.WORKER_LOST
    assert ledger.counts() == {(Kind.SEND_EMAIL, State.UNKNOWN): 1}


def test_an_attempt_that_was_given_up_cannot_settle_the_one_that_followed(ledger: Ledger) -> None:
    """With `on_unknown=resend` a second attempt is under way when the first one's late answer comes."""
    record_one(ledger, new(on_unknown=OnUnknown.RESEND))
    begin_attempt(ledger, "op-1", "first", lease_s=0)
    begin_attempt(ledger, "op-1", "second", lease_s=10)

    late = ledger.settle("op-1", "first", State.REJECTED, reason=Reason.RECIPIENT_REJECTED)

    assert late.verdict is not Verdict.SETTLED
    assert ledger.outcome("op-1").state is State.IN_FLIGHT
    assert ledger.settle("op-1", "second", State.ACCEPTED).verdict is Verdict.SETTLED


@pytest.mark.parametrize("give_up", [lambda ledger: swept(ledger, "op-1"), lambda ledger: ledger.ready("op-1")])
def test_a_lost_attempt_leaves_a_doubt_that_no_later_end_hides(
    ledger: Ledger, give_up: Callable[[Ledger], object]
) -> None:
    """Cancelled before the second attempt, the operation is `unknown`: the first may have been carried out."""
    record_one(ledger, new(on_unknown=OnUnknown.RESEND))
    begin_attempt(ledger, "op-1", "first", lease_s=0)
    give_up(ledger)

    closed = ledger.close("op-1", State.CANCELLED, Reason.CANCELLED_BY_CALLER)

    assert (closed.state, closed.reason) == (State.UNKNOWN, Reason.WORKER_LOST)


def test_a_restored_operation_keeps_an_earlier_doubt(ledger: Ledger) -> None:
    """A restored backup ends an open operation as `unknown`. Its reason is that of the lost attempt, as a campaign's recipient has it."""
    record_one(ledger, new(on_unknown=OnUnknown.RESEND))
    begin_attempt(ledger, "op-1", "first", lease_s=0)
    swept(ledger, "op-1")

    recovered = ledger.recover("op-1")

    assert (recovered.state, recovered.reason) == (State.UNKNOWN, Reason.WORKER_LOST)


def test_a_success_after_a_lost_attempt_is_a_success(ledger: Ledger) -> None:
    """The caller asked for a second attempt, and it was accepted; nothing is in doubt."""
    record_one(ledger, new(on_unknown=OnUnknown.RESEND))
    begin_attempt(ledger, "op-1", "first", lease_s=0)
    begin_attempt(ledger, "op-1", "second", lease_s=10)
    ledger.settle("op-1", "second", State.ACCEPTED)

    outcome = ledger.outcome("op-1")
    assert (outcome.state, outcome.reason) == (State.ACCEPTED, None)


def test_a_lost_attempt_is_repeated_only_when_the_caller_chose_so(ledger: Ledger) -> None:
    """`on_unknown=resend` lets the next delivery begin again."""
    record_one(ledger, new(on_unknown=OnUnknown.RESEND))
    begin_attempt(ledger, "op-1", "first", lease_s=0)

    second = begin_attempt(ledger, "op-1", "second", lease_s=10)

    assert (second.verdict, second.attempts) == (Verdict.BEGUN, 2)


def test_nothing_begins_after_the_deadline(ledger: Ledger) -> None:
    """A late message ends as `expired`."""
    record_one(ledger, new(deadline=datetime.now(UTC) - timedelta(seconds=1)))

    answer = begin_attempt(ledger, "op-1", "first", lease_s=10)

    assert (answer.verdict, answer.state, answer.reason) == (Verdict.FINISHED, State.EXPIRED, Reason.DEADLINE_PASSED)


def test_a_deadline_that_the_producers_clock_takes_for_past_is_recorded(ledger: Ledger) -> None:
    """Only a deadline that has passed by Redis's clock too is refused."""
    with pytest.raises(InvalidCommand, match="deadline: is in the past"):
        record_one(ledger, new(refused_late=True, deadline=datetime.now(UTC) - timedelta(seconds=1)))

    assert record_one(ledger, new(refused_late=True)) == "op-1"


def test_a_free_wait_costs_no_attempt_and_is_called_deferred(ledger: Ledger) -> None:
    """A 429 gives the attempt back; until the wait is over nothing begins."""
    record_one(ledger, new())
    begin_attempt(ledger, "op-1", "first", lease_s=10)

    ledger.postpone("op-1", 30, attempt="first", free=True)

    outcome = ledger.outcome("op-1")
    assert (outcome.state, outcome.attempts) == (State.DEFERRED, 0)
    early = begin_attempt(ledger, "op-1", "second", lease_s=10)
    assert early.verdict is Verdict.EARLY
    assert 29_000 < early.wait_ms <= 30_000


def test_a_costly_wait_keeps_the_attempt(ledger: Ledger) -> None:
    """After a failure that counts the operation is queued again, with one attempt spent."""
    record_one(ledger, new())
    begin_attempt(ledger, "op-1", "first", lease_s=10)
    ledger.postpone("op-1", 0, attempt="first", free=False)

    outcome = ledger.outcome("op-1")

    assert (outcome.state, outcome.attempts) == (State.QUEUED, 1)
    assert begin_attempt(ledger, "op-1", "second", lease_s=10).attempts == 2


def test_waits_that_follow_each_other_do_not_outlast_the_deadline(ledger: Ledger, redis_client: redis.Redis) -> None:
    """An operation that is deferred again and again ends at its deadline, also in the sweep."""
    deadline = datetime.now(UTC) + timedelta(minutes=5)
    record_one(ledger, new(deadline=deadline))
    begin_attempt(ledger, "op-1", "first", lease_s=10)
    ledger.postpone("op-1", 3600, attempt="first", free=True)
    assert redis_client.zscore("gatepost:operations:due", "op-1") <= deadline.timestamp() * 1000 + 1

    redis_client.hset(KEYS.operation("op-1"), "deadline", 1)
    ledger.postpone("op-1", 3600, attempt="", free=True)

    outcome = ledger.outcome("op-1")
    assert (outcome.state, outcome.reason) == (State.EXPIRED, Reason.DEADLINE_PASSED)


def test_a_foreign_attempt_cannot_postpone(ledger: Ledger) -> None:
    """Only the attempt that began may give the operation back."""
    record_one(ledger, new())
    begin_attempt(ledger, "op-1", "first", lease_s=10)

    assert ledger.postpone("op-1", 1, attempt="other", free=True).verdict is Verdict.BUSY
    assert ledger.outcome("op-1").state is State.IN_FLIGHT


def test_the_same_idempotency_key_gives_the_same_operation(ledger: Ledger) -> None:
    """A second call with the key and the same command names the first operation, finished or not."""
    record_one(ledger, new("op-1", idempotency_fingerprint="key"))
    begin_attempt(ledger, "op-1", "first", lease_s=10)
    ledger.settle("op-1", "first", State.ACCEPTED)

    assert record_one(ledger, new("op-2", idempotency_fingerprint="key")) == "op-1"
    assert ledger.counts() == {(Kind.SEND_EMAIL, State.ACCEPTED): 1}


def test_an_idempotency_key_refuses_another_command(ledger: Ledger) -> None:
    """The key names one command."""
    record_one(ledger, new("op-1", idempotency_fingerprint="key"))

    with pytest.raises(IdempotencyConflict):
        record_one(ledger, new("op-2", idempotency_fingerprint="key", payload_fingerprint="another"))


def test_a_token_set_is_redeemed_once_even_by_two_at_the_same_moment(ledger: Ledger, redis_client: redis.Redis) -> None:
    """Of twenty that ask at once one gets it, and the stored result is gone with it."""
    record_one(ledger, new(kind=Kind.LOGIN_WITH_EMAIL, redeem_digest=DIGEST))
    begin_attempt(ledger, "op-1", "first", lease_s=10)
    ledger.settle("op-1", "first", State.ACCEPTED, sealed_result="sealed tokens")
    redeemed: list[str] = []
    start = threading.Barrier(20)

    def redeem() -> None:
        start.wait()
        try:
            redeemed.append(ledger.redeem("op-1", DIGEST))
        except NothingToRedeem:
            redeemed.append("nothing")

    threads = [threading.Thread(target=redeem) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(redeemed) == ["nothing"] * 19 + ["sealed tokens"]
    assert redis_client.get(KEYS.celery_result("op-1")) is None


def test_what_was_never_recorded_is_not_found(ledger: Ledger) -> None:
    """An unknown id is an error, not a state."""
    with pytest.raises(OperationNotFound):
        ledger.outcome("absent")
    with pytest.raises(OperationNotFound):
        ledger.redeem("absent", DIGEST)
    assert begin_attempt(ledger, "absent", "first", lease_s=10).verdict is Verdict.MISSING


def test_the_sweep_publishes_what_was_never_begun_and_backs_off(redis_client: redis.Redis) -> None:
    """Every publication doubles the time to the next look."""
    ledger = Ledger(redis_client, KEYS, record_lifetime_s=3600, republish_after_s=0.05)
    record_one(ledger, new())
    time.sleep(0.06)
    assert ledger.due(10) == ["op-1"]

    answer = swept(ledger, "op-1")

    assert (answer.verdict, answer.kind) == (Verdict.PUBLISH, Kind.SEND_EMAIL)
    assert ledger.due(10) == []


def test_each_publication_by_the_sweep_doubles_the_time_to_the_next(ledger: Ledger, redis_client: redis.Redis) -> None:
    """30 seconds, so the looks are 60, 120 and 240 apart, and never later than the deadline."""
    record_one(ledger, new(deadline=datetime.now(UTC) + timedelta(seconds=400)))
    waits = []
    for _ in range(4):
        assert swept(ledger, "op-1").verdict is Verdict.PUBLISH
        waits.append(redis_client.zscore("gatepost:operations:due", "op-1") / 1000 - time.time())

    assert waits == pytest.approx([60, 120, 240, 400], abs=10)


def test_a_publication_that_the_broker_did_not_take_does_not_count(ledger: Ledger, redis_client: redis.Redis) -> None:
    """The operation is looked at again soon, and the waits double from where they were."""
    record_one(ledger, new(deadline=datetime.now(UTC) + timedelta(seconds=400)))
    swept(ledger, "op-1")
    ledger.unpublished("op-1")
    soon = redis_client.zscore("gatepost:operations:due", "op-1") / 1000 - time.time()
    swept(ledger, "op-1")
    later = redis_client.zscore("gatepost:operations:due", "op-1") / 1000 - time.time()

    assert (soon, later) == (pytest.approx(30, abs=10), pytest.approx(60, abs=10))


def test_the_sweep_ends_a_lost_attempt_as_unknown(ledger: Ledger) -> None:
    """A killed worker's attempt may have been carried out."""
    record_one(ledger, new())
    begin_attempt(ledger, "op-1", "first", lease_s=0)

    answer = swept(ledger, "op-1")

    assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.WORKER_LOST)


def test_the_sweep_ends_what_is_past_its_deadline_as_expired(ledger: Ledger) -> None:
    """No worker begins it any more."""
    record_one(ledger, new(deadline=datetime.now(UTC) - timedelta(seconds=1)))

    assert swept(ledger, "op-1").state is State.EXPIRED
    assert ledger.due(10) == []


def test_the_sweep_leaves_an_attempt_under_way_alone(ledger: Ledger) -> None:
    """Its lease is still good."""
    record_one(ledger, new())
    begin_attempt(ledger, "op-1", "first", lease_s=10)

    assert swept(ledger, "op-1").verdict is Verdict.BUSY
    assert ledger.outcome("op-1").state is State.IN_FLIGHT


def test_cancelling_ends_only_what_no_attempt_has_begun(ledger: Ledger) -> None:
    """An attempt under way cannot be called back."""
    record_one(ledger, new("op-1"))
    record_one(ledger, new("op-2"))
    begin_attempt(ledger, "op-2", "first", lease_s=10)

    assert ledger.close("op-1", State.CANCELLED, Reason.CANCELLED_BY_CALLER).state is State.CANCELLED
    assert ledger.close("op-2", State.CANCELLED, Reason.CANCELLED_BY_CALLER).verdict is Verdict.BUSY


def test_a_full_redis_refuses_new_operations_and_still_settles(ledger: Ledger, redis_client: redis.Redis) -> None:
    """With `noeviction` at its limit nothing new starts, nothing stays half-recorded, and attempts under way end."""
    record_one(ledger, new("op-1"))
    begin_attempt(ledger, "op-1", "first", lease_s=10)
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(Unavailable, match="memory is full"):
            record_one(ledger, new("op-2"))
        settled = ledger.settle("op-1", "first", State.ACCEPTED)
    finally:
        redis_client.config_set("maxmemory", 0)

    assert settled.verdict is Verdict.SETTLED
    assert ledger.counts() == {(Kind.SEND_EMAIL, State.ACCEPTED): 1}


def test_a_redis_that_does_not_answer_is_unavailable(settings: Settings, valkey: EmbeddedValkey) -> None:
    """Nothing of redis-py's own errors reaches the caller."""
    client = connect(settings.model_copy(update={"redis_url": type(settings.redis_url)("redis://127.0.0.1:1/0")}))

    with pytest.raises(Unavailable, match="did not answer"):
        record_one(ledger_at(client, settings), new())
