"""One operation in a worker, with a real ledger, a scripted Auth0, and a limiter, clock and sleeper that the test holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from requests import ConnectionError as Refused
from tenacity import wait_fixed, wait_none
from urllib3.exceptions import NewConnectionError

from gatepost import Producer, State
from gatepost.errors import Unavailable
from gatepost_core.kinds import Queue
from gatepost_core.ledger import Ledger, ledger_at
from gatepost_core.ledger.values import Answer as LedgerAnswer
from gatepost_core.ledger.values import Verdict
from gatepost_core.reasons import Reason
from gatepost_worker.authentication import Configuration, Passwordless
from gatepost_worker.delivery.ownership import Ownership
from gatepost_worker.delivery.policy import RetryLimits
from gatepost_worker.delivery.runner import Ended, Later, NotOurs, Runner
from gatepost_worker.limiter import LimiterUnavailable, Permit, Wait, WaitReason
from support.held_attempts import HeldAttempts
from support.keys import KEYS
from support.ledger_calls import begin_attempt
from support.ledger_sweep import swept
from support.one_client import OneClient
from support.scripted_adapter import Answer, ScriptedAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost_core.settings import Settings
    from gatepost_worker.limiter import LimiterKey


@dataclass
class HeldLimiter:
    """Gives the test's answers, and records the calls."""

    answers: list[Any] = field(default_factory=list)
    readings: list[Any] = field(default_factory=list)
    asked: list[LimiterKey] = field(default_factory=list)

    def acquire(self, key: LimiterKey, *_: Any, **__: Any) -> Any:
        self.asked.append(key)
        answer = self.answers.pop(0) if self.answers else Permit(granted=1, first_ticket=1)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def observe(self, _key: LimiterKey, readings: Any) -> None:
        self.readings += readings


@dataclass
class World:
    """Everything around a runner."""

    runner: Runner
    ledger: Ledger
    attempts: HeldAttempts
    limiter: HeldLimiter
    auth0: ScriptedAdapter
    slept: list[float]
    producer: Producer
    redis: redis.Redis

    def send(self, **options: Any) -> str:
        return self.producer.send_email("guest@example.com", **options).operation_id


@pytest.fixture
def world(settings: Settings, redis_client: redis.Redis) -> Iterator[Callable[..., World]]:
    """Make a world in which Auth0 answers by a script."""
    with Producer(settings) as producer:

        def make(*script: Any, ledger: Ledger | None = None) -> World:
            adapter, limiter, slept = ScriptedAdapter(*script), HeldLimiter(), list[float]()
            tenant = Passwordless(
                domain="tenant.example",
                client_id="client",
                client_secret="secret",
                configuration=Configuration(adapter=adapter),
            )
            own_ledger = ledger or ledger_at(redis_client, settings)
            attempts = HeldAttempts(own_ledger, limiter)
            runner = Runner(
                settings=settings,
                ledger=own_ledger,
                attempts=attempts,  # type: ignore[arg-type] # the same, step by step
                keyring=settings.keyring(),
                fingerprints=settings.fingerprints(),
                clients=OneClient(tenant),
                ownership=Ownership(redis_client, settings),
                limits=RetryLimits(max_attempts=3, backoff=wait_none()),
                sleep=slept.append,
            )
            return World(runner, own_ledger, attempts, limiter, adapter, slept, producer, redis_client)

        yield make


def refused() -> Refused:
    return Refused(NewConnectionError(None, "refused"))  # type: ignore[arg-type] # no pool is needed


def test_a_closed_limiter_lets_nothing_leave(world: Callable[..., World]) -> None:
    """If the limiter cannot read Redis, no request is made and the operation is unchanged."""
    here = world()
    operation_id = here.send()
    here.limiter.answers = [LimiterUnavailable("away")]

    with pytest.raises(Unavailable):
        here.runner.run(operation_id)

    assert here.auth0.sent == []
    assert here.ledger.outcome(operation_id).state is State.QUEUED


def test_a_short_wait_for_a_permit_sleeps_in_the_slot(world: Callable[..., World]) -> None:
    """Up to two seconds in all; the message does not go back to the queue for that."""
    here = world()
    here.limiter.answers = [Wait(0.7, WaitReason.LEVEL), Wait(0.7, WaitReason.LEVEL)]

    progress = here.runner.run(here.send())

    assert isinstance(progress, Ended)
    assert here.slept == [0.7, 0.7]
    assert len(here.auth0.sent) == 1


def test_a_retry_in_the_slot_does_not_show_how_far_the_queue_has_come(world: Callable[..., World]) -> None:
    """Only the first try was named by a message, and that one was published when the operation was recorded."""
    here = world(refused(), refused(), Answer(200))
    operation_id = here.send()
    recorded = here.ledger.outcome(operation_id).created_at

    here.runner.run(operation_id)

    delivered: Any = here.redis.hget(KEYS.delivered, Queue.SEND)
    assert int(delivered) == recorded.timestamp() * 1000


def test_a_long_wait_for_a_permit_goes_back_to_the_queue(world: Callable[..., World]) -> None:
    """`deferred`, no attempt spent, in hops of at most a minute."""
    here = world()
    here.limiter.answers = [Wait(300, WaitReason.BLOCKED)]
    operation_id = here.send()

    progress = here.runner.run(operation_id)

    assert progress == Later(timedelta(seconds=60))
    outcome = here.ledger.outcome(operation_id)
    assert (outcome.state, outcome.attempts) == (State.DEFERRED, 0)
    assert here.auth0.sent == []


def test_what_did_not_arrive_is_tried_again_in_the_same_slot(world: Callable[..., World]) -> None:
    """Two refused connections, then an answer: three attempts, one request that arrived."""
    here = world(refused(), refused(), Answer(200))
    operation_id = here.send()

    progress = here.runner.run(operation_id)

    assert progress == Ended(State.ACCEPTED)
    assert here.ledger.outcome(operation_id).attempts == 3


def test_the_quotas_headers_reach_the_limiter(world: Callable[..., World]) -> None:
    """Of a success and of a 429 alike, with the ticket of the permit."""
    headers = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "49"}
    here = world(Answer(429, {"error": "too_many_requests"}, {**headers, "Retry-After": "0"}), Answer(200, {}, headers))

    here.runner.run(here.send())

    assert [(one.ticket, one.refused, one.limits.remaining) for one in here.limiter.readings] == [
        (1, True, 49),
        (1, False, 49),
    ]
    assert {key.endpoint for key in here.limiter.asked} == {"passwordless/start"}


def test_a_finished_operation_is_not_carried_out_again(world: Callable[..., World]) -> None:
    """A message that comes after the end gets the recorded end."""
    here = world(Answer(400, {"error": "bad.email"}))
    operation_id = here.send()

    first, second = here.runner.run(operation_id), here.runner.run(operation_id)

    assert first == second == Ended(State.REJECTED, Reason.RECIPIENT_REJECTED, "bad.email")
    assert len(here.auth0.sent) == 1


def test_an_unknown_operation_is_nobodys(world: Callable[..., World]) -> None:
    """Its record has expired, or the message is forged."""
    assert world().runner.run("7a0c1c1e-0000-4000-8000-000000000000") == NotOurs(Verdict.MISSING)


class Flaky(Ledger):
    """A ledger whose Redis is away for the first calls of `settle`."""

    away = 0

    def settle(self, *args: Any, **options: Any) -> LedgerAnswer:
        if self.away > 0:
            self.away -= 1
            raise Unavailable
        return super().settle(*args, **options)


def test_an_answer_in_hand_waits_for_redis(
    world: Callable[..., World], redis_client: redis.Redis, settings: Settings
) -> None:
    """A Redis that restarts between the answer and its record does not make a success unknown."""
    flaky = Flaky(redis_client, KEYS, record_lifetime_s=60, republish_after_s=30)
    flaky.away = 4
    here = world(ledger=flaky)

    progress = here.runner.run(here.send())

    assert progress == Ended(State.ACCEPTED)
    assert len(here.slept) == 4
    assert len(here.auth0.sent) == 1


def test_an_answer_after_the_lease_changes_nothing(world: Callable[..., World], settings: Settings) -> None:
    """The sweep called it `unknown` while this worker stood still; terminal is terminal."""
    here = world()
    operation_id = here.send()

    class Overtaken(ScriptedAdapter):
        def send(self, request: Any, **options: Any) -> Any:
            here.redis.hset(f"gatepost:operation:{operation_id}", "lease", 1)
            swept(here.ledger, operation_id)
            return super().send(request, **options)

    here.runner._clients = OneClient(  # type: ignore[assignment] # another script for the same runner
        Passwordless(
            domain="tenant.example",
            client_id="client",
            client_secret="secret",
            configuration=Configuration(adapter=Overtaken()),
        )
    )

    progress = here.runner.run(operation_id)

    assert isinstance(progress, Ended)
    assert progress.state is State.UNKNOWN
    assert here.ledger.counts()[here.ledger.outcome(operation_id).kind, State.UNKNOWN] == 1


def test_an_attempt_that_another_worker_has_begun_meanwhile_sends_nothing(world: Callable[..., World]) -> None:
    """Between the look at the operation and the attempt lies the wait for a permit."""
    here = world()
    operation_id = here.send()

    class Overtaken(HeldLimiter):
        def acquire(self, key: LimiterKey, *_: Any, **__: Any) -> Any:
            begin_attempt(here.ledger, operation_id, "another", lease_s=10)
            return super().acquire(key)

    here.attempts.limiter = Overtaken()

    assert here.runner.run(operation_id) == NotOurs(Verdict.BUSY)
    assert here.auth0.sent == []


@pytest.mark.parametrize("why", ["early", "expired", "busy", "lost", "finished", "missing"])
def test_what_cannot_begin_costs_no_permit(world: Callable[..., World], why: str) -> None:
    """A doubled, late or early message takes nothing from the quota that the others share."""
    here = world()
    operation_id = here.send()
    match why:
        case "early":
            here.ledger.postpone(operation_id, 300, free=True)
        case "expired":
            here.redis.hset(f"gatepost:operation:{operation_id}", "deadline", 1)
        case "busy" | "lost":
            begin_attempt(here.ledger, operation_id, "another", 60 if why == "busy" else 0)
        case "finished":
            assert here.producer.handle(operation_id).cancel()
        case _:
            operation_id = "7a0c1c1e-0000-4000-8000-000000000000"

    progress = here.runner.run(operation_id)

    expected = {
        "early": Later(timedelta(seconds=60)),
        "expired": Ended(State.EXPIRED, Reason.DEADLINE_PASSED),
        "busy": NotOurs(Verdict.BUSY),
        "lost": Ended(State.UNKNOWN, Reason.WORKER_LOST),
        "finished": Ended(State.CANCELLED, Reason.CANCELLED_BY_CALLER),
        "missing": NotOurs(Verdict.MISSING),
    }
    assert progress == expected[why]
    assert here.limiter.asked == []
    assert here.auth0.sent == []


def test_the_deadline_stops_retries(world: Callable[..., World]) -> None:
    """An operation that cannot be reached in time ends as `expired`."""
    here = world(refused())
    operation_id = here.send(deadline=datetime.now(UTC) + timedelta(milliseconds=300))
    here.runner._limits = RetryLimits(backoff=wait_fixed(1))

    assert here.runner.run(operation_id) == Ended(State.EXPIRED, Reason.DEADLINE_PASSED)


@pytest.mark.parametrize(
    ("later", "attempts"),
    [([Answer(400, {"error": "bad.email"})], 2), ([refused(), refused()], 3), ([Answer(503), Answer(503)], 3)],
    ids=["rejected", "not-reached", "again"],
)
def test_what_may_have_been_sent_stays_unknown_whatever_comes_of_the_resend(
    world: Callable[..., World], later: list[Any], attempts: int
) -> None:
    """Only a success says more than the first attempt did."""
    here = world(Answer(503), *later)
    operation_id = here.send(on_unknown="resend")

    progress = here.runner.run(operation_id)

    assert isinstance(progress, Ended)
    assert (progress.state, progress.reason) == (State.UNKNOWN, Reason.SERVER_FAILED)
    assert here.ledger.outcome(operation_id).attempts == attempts


def test_a_resend_that_no_worker_begins_is_unknown_and_not_expired_or_cancelled(world: Callable[..., World]) -> None:
    """The first message may have been sent; the deadline or the caller ends the second attempt."""
    here = world(Answer(503))
    here.runner._limits = RetryLimits(backoff=wait_fixed(3))
    late, cancelled = (here.send(on_unknown="resend") for _ in range(2))
    for operation_id in (late, cancelled):
        assert isinstance(here.runner.run(operation_id), Later)
    here.redis.hset(f"gatepost:operation:{late}", "deadline", 1)

    swept(here.ledger, late)

    assert here.ledger.outcome(late).state is State.UNKNOWN
    assert not here.producer.handle(cancelled).cancel()
    assert here.ledger.outcome(cancelled).reason is Reason.SERVER_FAILED


def test_an_operation_that_kills_its_workers_is_not_sent_for_ever(world: Callable[..., World]) -> None:
    """With `on_unknown=resend` each of them may have sent; after the last attempt it is enough."""
    here = world()
    operation_id = here.send(on_unknown="resend")
    for number in range(3):
        assert begin_attempt(here.ledger, operation_id, f"of worker {number}", 0).verdict is Verdict.BEGUN

    progress = here.runner.run(operation_id)

    assert isinstance(progress, Ended)
    assert (progress.state, progress.reason) == (State.UNKNOWN, Reason.WORKER_LOST)
    assert here.auth0.sent == []


@pytest.mark.parametrize(
    "hints",
    [
        {"X-RateLimit-Reset": "1800000000000"},
        {"Retry-After": "31536000"},
        {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"Retry-After": "999999999999999", "X-RateLimit-Reset": "999999999999999"},
    ],
)
def test_an_implausible_hint_defers_for_a_moment(world: Callable[..., World], hints: dict[str, str]) -> None:
    """No error, no `unknown`, no attempt spent: the operation continues as after a 429 without a hint."""
    here = world(Answer(429, {"error": "too_many_requests"}, hints))
    operation_id = here.send()

    progress = here.runner.run(operation_id)

    assert isinstance(progress, Later)
    assert progress.wait <= timedelta(seconds=2)
    assert here.ledger.outcome(operation_id).state is State.DEFERRED


def test_a_workers_own_clock_decides_nothing(world: Callable[..., World]) -> None:
    """Redis's clock gives the remaining time: an operation deferred within the deadline does not expire."""
    here = world(Answer(429, {"error": "too_many_requests"}, {"Retry-After": "5"}))
    operation_id = here.send(deadline=datetime.now(UTC) + timedelta(seconds=10))

    assert here.runner.run(operation_id) == Later(timedelta(seconds=5))
    answer = begin_attempt(here.ledger, operation_id, "early", 1)
    assert (answer.verdict, answer.wait_ms > 0) == (Verdict.EARLY, True)
