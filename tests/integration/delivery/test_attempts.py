"""Attempts begin and end in one round trip each, with all checks of the steps in between."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import Producer, State
from gatepost_core.kinds import Endpoint
from gatepost_core.ledger import ledger_at
from gatepost_core.ledger.script import MemoryFull
from gatepost_core.ledger.values import Answer, Operation, Verdict
from gatepost_worker.authentication import Configuration, Passwordless
from gatepost_worker.authentication.rate_limits import RateLimits
from gatepost_worker.delivery.attempts import Attempts, Begun, PermitWait
from gatepost_worker.delivery.ownership import Ownership
from gatepost_worker.delivery.runner import Ended, Later, Runner
from gatepost_worker.limiter import LimiterKey, Reading, RedisLimiter
from support.keys import KEYS
from support.one_client import OneClient
from support.scripted_adapter import Answer as HttpAnswer
from support.scripted_adapter import ScriptedAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost_core.ledger import Ledger
    from gatepost_core.settings import Settings
    from gatepost_worker.delivery.attempts import Opened

QUOTA = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "999", "X-RateLimit-Reset": "4102444800"}
PATIENCE = timedelta(seconds=2)
START = LimiterKey("default", Endpoint.START)


@pytest.fixture
def producer(settings: Settings) -> Iterator[Producer]:
    with Producer(settings) as made:
        yield made


@pytest.fixture
def attempts(settings: Settings, redis_client: redis.Redis) -> Attempts:
    return Attempts(redis_client, settings)


@pytest.fixture
def ledger(settings: Settings, redis_client: redis.Redis) -> Ledger:
    return ledger_at(redis_client, settings)


def begin(attempts: Attempts, operation_id: str, attempt: str = "attempt", **options: Any) -> Opened:
    """Begin as a worker does: it checks the application if it is asked to."""
    opened = attempts.open(operation_id, attempt, patience=PATIENCE, **options)
    if isinstance(opened, Operation):
        opened = attempts.open(operation_id, attempt, patience=PATIENCE, checked=opened)
    return opened


def block(redis_client: redis.Redis, settings: Settings) -> None:
    """Let the limiter's quota be used up for five minutes."""
    limiter = RedisLimiter(redis_client, KEYS)
    limits = RateLimits(limit=10, remaining=0, retry_after_s=300)
    limiter.observe(START, [Reading(ticket=1, limits=limits, refused=True)])


def scripts(redis_client: redis.Redis) -> int:
    """How many scripts have run."""
    found: Any = redis_client.info("commandstats")
    return int(found.get("cmdstat_evalsha", {}).get("calls", 0))


def permits(redis_client: redis.Redis) -> int:
    """How many permits the limiter has given."""
    state = RedisLimiter(redis_client, KEYS).describe(START)
    return 0 if state is None else state.issued


def runner_of(settings: Settings, client: redis.Redis, auth0: ScriptedAdapter) -> Runner:
    tenant = Passwordless(
        domain="tenant.example", client_id="client", client_secret="secret", configuration=Configuration(adapter=auth0)
    )
    return Runner(
        settings=settings,
        ledger=ledger_at(client, settings),
        attempts=Attempts(client, settings),
        keyring=settings.keyring(),
        fingerprints=settings.fingerprints(),
        clients=OneClient(tenant),  # type: ignore[arg-type] # one tenant is enough
        ownership=Ownership(client, settings),
        sleep=lambda _: None,
    )


def test_an_operation_takes_two_scripts(settings: Settings, producer: Producer, redis_client: redis.Redis) -> None:
    """One begins it and one ends it, once the worker has checked the application."""
    auth0 = ScriptedAdapter(*[HttpAnswer(200, headers=QUOTA)] * 2)
    runner = runner_of(settings, redis_client, auth0)
    runner.run(producer.send_email("first@example.com").operation_id)
    operation_id = producer.send_email("second@example.com").operation_id
    before = scripts(redis_client)

    progress = runner.run(operation_id)

    assert progress == Ended(State.ACCEPTED)
    assert scripts(redis_client) - before == 2


def test_an_answer_teaches_the_limiter_in_the_same_script(
    settings: Settings, producer: Producer, redis_client: redis.Redis
) -> None:
    """The second script passes the rate-limit headers on."""
    runner = runner_of(settings, redis_client, ScriptedAdapter(HttpAnswer(200, headers=QUOTA)))

    runner.run(producer.send_email("guest@example.com").operation_id)

    state = RedisLimiter(redis_client, KEYS).describe(START)
    assert state is not None
    assert state.bucket is not None
    assert (state.issued, state.bucket.limit) == (1, 1000)


def test_a_command_that_does_not_open_is_put_back_and_costs_no_attempt(
    settings: Settings, producer: Producer, redis_client: redis.Redis
) -> None:
    """The attempt has begun by then, but nothing has left: the operation is deferred, and never `unknown`."""
    auth0 = ScriptedAdapter(*[HttpAnswer(200, headers=QUOTA)] * 2)
    runner = runner_of(settings, redis_client, auth0)
    runner.run(producer.send_email("first@example.com").operation_id)
    damaged = producer.send_email("damaged@example.com")
    redis_client.hset(KEYS.operation(damaged.operation_id), "command", "not a seal")

    progress = runner.run(damaged.operation_id)

    outcome = damaged.outcome()
    assert progress == Later(timedelta(seconds=30))
    assert (outcome.state, outcome.attempts) == (State.DEFERRED, 0)
    assert outcome.blocked is not None
    assert len(auth0.sent) == 1


def test_a_repeated_call_finds_its_attempt(attempts: Attempts, producer: Producer) -> None:
    """redis-py repeats a call whose reply was lost; one attempt has begun, and the command comes again."""
    operation_id = producer.send_email("guest@example.com").operation_id

    first, again = begin(attempts, operation_id), begin(attempts, operation_id)

    assert isinstance(first, Begun)
    assert isinstance(again, Begun)
    assert (first.operation, first.number) == (again.operation, again.number)
    assert producer.handle(operation_id).outcome().attempts == 1


def test_a_second_worker_finds_the_attempt(attempts: Attempts, producer: Producer, redis_client: redis.Redis) -> None:
    """A doubled message begins nothing and takes no permit."""
    operation_id = producer.send_email("guest@example.com").operation_id
    begin(attempts, operation_id)

    second = begin(attempts, operation_id, "another")

    assert isinstance(second, Answer)
    assert second.verdict is Verdict.BUSY
    assert permits(redis_client) == 1


@pytest.mark.parametrize("patience_s", [2, 4000])
def test_a_long_wait_for_a_permit_defers_the_operation_at_once(
    settings: Settings, attempts: Attempts, producer: Producer, redis_client: redis.Redis, patience_s: int
) -> None:
    """In hops of at most a minute; a wait that the worker accepts changes nothing."""
    operation_id = producer.send_email("guest@example.com").operation_id
    checked = attempts.open(operation_id, "attempt", patience=PATIENCE)
    block(redis_client, settings)

    assert isinstance(checked, Operation)
    opened = attempts.open(operation_id, "attempt", patience=timedelta(seconds=patience_s), checked=checked)

    outcome = producer.handle(operation_id).outcome()
    if patience_s == 2:
        assert opened == Answer(Verdict.EARLY, wait_ms=60_000)
        assert (outcome.state, outcome.attempts) == (State.DEFERRED, 0)
    else:
        assert isinstance(opened, PermitWait)
        assert outcome.state is State.QUEUED


def test_another_applications_operation_does_not_begin(
    attempts: Attempts, producer: Producer, make_settings: Callable[..., Settings]
) -> None:
    """What the worker remembers is a tenant together with its application."""
    begin(attempts, producer.send_email("ours@example.com").operation_id)
    with Producer(make_settings(auth0_client_id="another")) as elsewhere:
        theirs = elsewhere.send_email("theirs@example.com")

        opened = attempts.open(theirs.operation_id, "attempt", patience=PATIENCE)

        assert isinstance(opened, Operation)
        assert theirs.state() is State.QUEUED


def test_an_operation_without_an_application_is_checked_each_time(
    attempts: Attempts, producer: Producer, redis_client: redis.Redis
) -> None:
    """The registry may name another application by now."""
    for _ in range(2):
        operation_id = producer.send_email("guest@example.com").operation_id
        redis_client.hdel(KEYS.operation(operation_id), "application")

        opened = attempts.open(operation_id, "attempt", patience=PATIENCE)

        assert isinstance(opened, Operation)
        assert isinstance(begin(attempts, operation_id), Begun)


def test_a_full_redis_begins_nothing_and_still_ends_doubled_messages(
    attempts: Attempts, producer: Producer, fill: Callable[[], None]
) -> None:
    """A message of an operation that is over leaves the queue; the others wait for memory."""
    over, waiting = (producer.send_email(f"{name}@example.com") for name in ("over", "waiting"))
    assert over.cancel()

    fill()

    assert attempts.open(over.operation_id, str(uuid.uuid4()), patience=PATIENCE) == Answer(
        Verdict.FINISHED, state=State.CANCELLED, reason=over.outcome().reason
    )
    with pytest.raises(MemoryFull):
        attempts.open(waiting.operation_id, "attempt", patience=PATIENCE)
    assert waiting.state() is State.QUEUED
