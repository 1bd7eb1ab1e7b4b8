"""Two environments on one Redis, with the same keys: each works on operations for its own Auth0 application alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import Producer, State
from gatepost.errors import ConfigurationError, InvalidCommand, TenantMissing
from gatepost_core.audit_log import AuditLog
from gatepost_core.blocks import BlockKind
from gatepost_core.broker.publishing import build_app
from gatepost_core.ledger import ledger_at
from gatepost_core.reasons import Reason
from gatepost_core.sealing import Purpose
from gatepost_core.settings.tenants import Application
from gatepost_operations.maintenance.tenants import TenantControl
from gatepost_worker import tasks
from gatepost_worker.authentication import Configuration, Passwordless
from gatepost_worker.delivery.ownership import Ownership
from gatepost_worker.delivery.runner import Ended, Later, Runner
from gatepost_worker.limiter import Permit
from gatepost_worker.process import Process
from gatepost_worker.submission import PutBack, Submissions
from support.held_attempts import HeldAttempts
from support.keys import KEYS
from support.ledger_calls import begin_attempt
from support.one_client import OneClient
from support.redeeming import TOKEN
from support.scripted_adapter import Answer, ScriptedAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost_core.settings import Settings

COMMAND = {"kind": "send_email", "email": "guest@example.com"}
LOGIN = {**COMMAND, "kind": "login_with_email", "redeem_token": TOKEN.get_secret_value()}
STAGING = {"auth0_domain": "staging.example", "auth0_client_id": "staging-client"}
NO_TENANT = {"auth0_domain": None, "auth0_client_id": None, "auth0_client_secret": None}


class Environment:
    """One environment's settings, producer and runner; `sent` lists the requests to its Auth0."""

    def __init__(self, settings: Settings, client: redis.Redis) -> None:
        self.settings = settings
        self.producer = Producer(settings)
        self.ledger = ledger_at(client, settings)
        self.ownership = Ownership(client, settings)
        self.control = TenantControl(client, self.ledger, settings, AuditLog(client, KEYS, settings.fingerprints()))
        self._auth0 = ScriptedAdapter(*[Answer(200)] * 10)
        tenant = Passwordless(
            domain="tenant.example",
            client_id="client",
            client_secret="secret",
            configuration=Configuration(adapter=self._auth0),
        )
        limiter = SimpleNamespace(
            acquire=lambda *_, **__: Permit(granted=1, first_ticket=1), observe=lambda *_, **__: None
        )
        self.runner = Runner(
            settings=settings,
            ledger=self.ledger,
            attempts=HeldAttempts(self.ledger, limiter),  # type: ignore[arg-type] # the same, step by step
            keyring=settings.keyring(),
            fingerprints=settings.fingerprints(),
            clients=OneClient(tenant),
            ownership=self.ownership,
            sleep=lambda _: None,
        )

    @property
    def sent(self) -> list[Any]:
        return self._auth0.sent

    def send(self, **options: Any) -> str:
        return self.producer.send_email("guest@example.com", **options).operation_id


@pytest.fixture
def environment(
    make_settings: Callable[..., Settings], redis_client: redis.Redis
) -> Iterator[Callable[..., Environment]]:
    """Make an environment on the test's Redis, with the keys that all of them share."""
    made: list[Environment] = []

    def make(**given: Any) -> Environment:
        one = Environment(make_settings(**given), redis_client)
        made.append(one)
        return one

    yield make
    for one in made:
        one.producer.close()


def without_its_wait(client: redis.Redis, operation_id: str) -> None:
    """Let the half minute be over."""
    client.hdel(KEYS.operation(operation_id), "not_before")


@pytest.mark.parametrize(
    "other",
    [STAGING, {"auth0_domain": "staging.example"}, {"auth0_client_id": "staging-client"}],
    ids=["both", "another domain", "another client id"],
)
def test_a_worker_for_another_application_puts_the_operation_back(
    environment: Callable[..., Environment], redis_client: redis.Redis, other: dict[str, str]
) -> None:
    """Nothing is sent, no attempt is spent, it comes again in half a minute, and the right worker carries it out."""
    production, staging = environment(), environment(**other)
    operation_id = production.send()

    put_back = staging.runner.run(operation_id)
    outcome = production.ledger.outcome(operation_id)
    without_its_wait(redis_client, operation_id)
    done = production.runner.run(operation_id)

    assert put_back == Later(timedelta(seconds=30))
    assert staging.sent == []
    assert (outcome.state, outcome.attempts) == (State.DEFERRED, 0)
    assert outcome.blocked is not None
    assert outcome.blocked.kind is BlockKind.WRONG_APPLICATION
    assert "client client at localhost:1" in outcome.blocked.detail
    assert done == Ended(State.ACCEPTED)
    assert production.ledger.outcome(operation_id).blocked is None


def test_a_domain_is_the_same_in_any_case(environment: Callable[..., Environment]) -> None:
    """Names of hosts have none; a client id does."""
    production, same = environment(), environment(auth0_domain="LOCALHOST:1")

    assert same.runner.run(production.send()) == Ended(State.ACCEPTED)


def test_the_deadline_ends_what_only_the_wrong_worker_takes(
    environment: Callable[..., Environment], redis_client: redis.Redis
) -> None:
    """As `expired`: surely nothing was sent."""
    production, staging = environment(), environment(**STAGING)
    operation_id = production.send(deadline=datetime.now(UTC) + timedelta(minutes=5))
    put_back = staging.runner.run(operation_id)
    redis_client.hset(KEYS.operation(operation_id), "deadline", 1)

    ended = staging.runner.run(operation_id)

    assert isinstance(put_back, Later)
    assert ended == Ended(State.EXPIRED, Reason.DEADLINE_PASSED)
    assert staging.sent == []


def test_the_first_worker_settles_whose_unnamed_work_is(
    environment: Callable[..., Environment], redis_client: redis.Redis
) -> None:
    """A producer without AUTH0_* records no application; which worker takes the operation first decides nothing."""
    production, staging = environment(), environment(**STAGING)
    production.ownership.register()
    staging.ownership.register()
    operation_id = environment(**NO_TENANT).send()

    put_back = staging.runner.run(operation_id)
    without_its_wait(redis_client, operation_id)
    done = production.runner.run(operation_id)

    assert redis_client.hget(KEYS.operation(operation_id), "application") is None
    assert put_back == Later(timedelta(seconds=30))
    assert staging.sent == []
    assert done == Ended(State.ACCEPTED)


def test_a_worker_that_could_not_register_does_it_with_the_first_unnamed_work(
    environment: Callable[..., Environment], redis_client: redis.Redis
) -> None:
    """Redis may have been away when it started."""
    production = environment()
    operation_id = environment(**NO_TENANT).send()

    done = production.runner.run(operation_id)

    assert done == Ended(State.ACCEPTED)
    assert redis_client.hget(KEYS.tenants, "default") == b"client@localhost:1"


def test_a_worker_without_the_tenant_puts_the_operation_back_and_reports_it(
    environment: Callable[..., Environment],
) -> None:
    """A tenant that was removed from the configuration is named in the operation's status."""
    acme = {"name": "acme", "domain": "acme.example", "client_id": "a", "client_secret": "s"}
    operation_id = environment(tenants=[acme]).send(tenant="acme")

    put_back = environment().runner.run(operation_id)
    blocked = environment().ledger.outcome(operation_id).blocked

    assert put_back == Later(timedelta(seconds=30))
    assert blocked is not None
    assert (blocked.kind, blocked.detail) == (BlockKind.TENANT_MISSING, "acme")


def test_open_operations_go_through_a_client_id_that_was_changed_on_purpose(
    environment: Callable[..., Environment], redis_client: redis.Redis
) -> None:
    """One command moves the operations of the registered application, is in the audit log, and leaves attempts under way."""
    before = environment()
    before.ownership.register()
    operations = [before.send() for _ in range(3)]
    begin_attempt(before.ledger, operations[2], "attempt", 60)
    after = environment(auth0_client_id="new-client")

    counted = after.control.accept("default", dry_run=True)
    untouched = [isinstance(after.runner.run(one), Later) for one in operations[:2]]
    accepted = after.control.accept("default")
    for one in operations:
        without_its_wait(redis_client, one)
    ended = [after.runner.run(one) for one in operations[:2]]

    assert (counted.operations, counted.in_flight) == (3, 0)
    assert untouched == [True, True]
    assert (accepted.operations, accepted.in_flight) == (2, 1)
    assert ended == [Ended(State.ACCEPTED)] * 2
    assert redis_client.hget(KEYS.tenants, "default") == b"new-client@localhost:1"
    actions = [entry.action for entry in AuditLog(redis_client, KEYS, after.settings.fingerprints()).entries()]
    assert actions == ["tenants.accept", "tenants.accept.done"]


def test_only_the_operations_of_the_named_application_are_taken_over(environment: Callable[..., Environment]) -> None:
    """Two environments that share a Redis by mistake do not take each other's work; a pair that is registered already is refused."""
    production, staging = environment(), environment(**STAGING)
    production.ownership.register()
    operation_id = production.send()
    third = environment(auth0_domain="third.example")

    taken = third.control.accept("default", Application("elsewhere.example", "x"))
    left = staging.runner.run(operation_id)

    assert taken.operations == 0
    assert isinstance(left, Later)
    with pytest.raises(ConfigurationError, match="already"):
        third.control.accept("default")
    with pytest.raises(TenantMissing):
        third.control.accept("acme")


# Submissions -------------------------------------------------------------------------------------------------------


@pytest.fixture
def submissions(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., tuple[Submissions, Process]]]:
    """Make the part of a worker that takes submissions."""
    apps = []

    def make(**given: Any) -> tuple[Submissions, Process]:
        settings = make_settings(**given)
        app, process = build_app(settings), Process(settings)
        apps.append(app)
        tasks.register(app, process)
        process.ownership.register()
        return Submissions(app, process), process

    yield make
    for app in apps:
        app.close()


@pytest.mark.parametrize("sealed", [False, True])
def test_a_submission_is_recorded_by_a_worker_of_the_registered_application_alone(
    submissions: Callable[..., tuple[Submissions, Process]], *, sealed: bool
) -> None:
    """Another environment's worker puts it back, so it cannot become a message of that environment's tenant."""
    production, process = submissions()
    staging, _ = submissions(**STAGING)
    command: Any = COMMAND
    if sealed:
        command = process.keyring.seal(json.dumps(COMMAND).encode(), Purpose.submission())

    with pytest.raises(PutBack):
        staging.accept("task-1", command, None)
    before = dict(process.ledger.counts())
    operation_id = production.accept("task-1", command, None)

    assert before == {}
    assert process.redis.hget(KEYS.operation(operation_id), "application") == b"client@localhost:1"


def test_a_submission_for_a_tenant_of_other_workers_is_put_back_and_for_none_is_refused(
    submissions: Callable[..., tuple[Submissions, Process]],
) -> None:
    """Which of the two it is, the registry says."""
    acme = {"name": "acme", "domain": "acme.example", "client_id": "a", "client_secret": "s"}
    submissions(tenants=[acme])
    here, _ = submissions()

    with pytest.raises(PutBack):
        here.accept("task-1", {**COMMAND, "tenant": "acme"}, None)
    with pytest.raises(InvalidCommand, match="not configured"):
        here.accept("task-2", {**COMMAND, "tenant": "globex"}, None)


@pytest.mark.parametrize(
    ("command", "waited"),
    [
        (COMMAND, timedelta(minutes=15)),
        ({**LOGIN, "code": "123456"}, timedelta(minutes=3)),
        ({**COMMAND, "deadline": "2020-01-01T00:00:00Z"}, timedelta()),
    ],
)
def test_a_submission_is_not_put_back_past_its_deadline(
    submissions: Callable[..., tuple[Submissions, Process]], command: dict[str, Any], waited: timedelta
) -> None:
    """Its deadline or the lifetime of its kind has passed; the submitter gets an error, and nothing is recorded."""
    _, process = submissions()
    staging, _ = submissions(**STAGING)

    with pytest.raises(PutBack):
        staging.accept("task-1", COMMAND, None, waited=timedelta(minutes=1))
    with pytest.raises(InvalidCommand, match="before its deadline"):
        staging.accept("task-1", command, None, waited=waited)

    assert not process.ledger.counts()
