"""Clients whose credential changes while they are in use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.errors import ConfigurationError
from gatepost_core.kinds import Kind
from gatepost_core.reasons import Reason
from gatepost_core.settings import Settings
from gatepost_core.states import State
from gatepost_worker.authentication.classify import classify
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.rate_limits import RateLimits
from gatepost_worker.authentication.response_bodies import parse_error_body
from gatepost_worker.delivery.clients import Clients
from gatepost_worker.delivery.policy import Attempt, Dead, Deferred, RetryLimits, decide

if TYPE_CHECKING:
    from collections.abc import Iterator

TENANT = "default"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def configured(secret: str, **changes: Any) -> Settings:
    given: dict[str, Any] = {
        "auth0_domain": "tenant.example",
        "auth0_client_id": "client",
        "auth0_client_secret": secret,
        "credential_patience": 60,
    }
    return Settings(**{**given, **changes})


@dataclass
class World:
    """Clients, a clock that the test moves, and the file's content."""

    now: float = 0.0
    looks: int = 0
    replacement: Settings | None = None

    def __post_init__(self) -> None:
        self.clients = Clients(configured("first"), look_again=self.look, monotonic=lambda: self.now)

    def look(self) -> None:
        self.looks += 1
        if self.replacement is not None:
            self.clients.renew(self.replacement)
            self.replacement = None


@pytest.fixture
def world() -> Iterator[World]:
    """A process with one tenant."""
    made = World()
    yield made
    made.clients.close()


def test_a_refusal_with_another_secret_in_the_file_is_repeated_at_once(world: World) -> None:
    """The second look finds it; nothing is refused for good."""
    used = world.clients.of(TENANT)
    world.replacement = configured("second")

    assert world.clients.after_refusal(TENANT, used) == timedelta()
    assert world.clients.of(TENANT) is not used


def test_calls_that_left_with_the_earlier_secret_are_repeated(world: World) -> None:
    """Hundreds may be under way when it changes, and only the first of them finds the file changed."""
    used = world.clients.of(TENANT)
    world.clients.renew(configured("second"))

    assert [world.clients.after_refusal(TENANT, used) for _ in range(3)] == [timedelta()] * 3
    assert world.looks == 0


def test_a_secret_that_never_worked_is_refused_for_good(world: World) -> None:
    """It is a mistake in the configuration, not a rotation."""
    assert world.clients.after_refusal(TENANT, world.clients.of(TENANT)) is None
    assert world.looks == 1


def test_a_secret_that_worked_waits_for_its_replacement(world: World) -> None:
    """A new secret is in Auth0 before it is in the file: in Kubernetes by a minute."""
    used = world.clients.of(TENANT)
    world.clients.accepted(TENANT, used)

    assert world.clients.after_refusal(TENANT, used) == timedelta(seconds=5)
    world.now += 58
    assert world.clients.after_refusal(TENANT, used) == timedelta(seconds=2)
    world.now += 2
    assert world.clients.after_refusal(TENANT, used) is None


def test_refused_calls_look_at_the_file_once_a_second(world: World) -> None:
    """Four hundred refusals at once read it once."""
    used = world.clients.of(TENANT)
    world.clients.accepted(TENANT, used)
    for _ in range(400):
        world.clients.after_refusal(TENANT, used)
    world.now += 1
    world.clients.after_refusal(TENANT, used)

    assert world.looks == 2


def test_a_credential_that_cannot_be_used_replaces_none(world: World) -> None:
    """Half a signing key must not stop the tenants that work."""
    used = world.clients.of(TENANT)
    with pytest.raises(ConfigurationError, match="PKCS#8"):
        world.clients.renew(configured("second", auth0_client_signing_key="-----BEGIN PRIVATE KEY-----"))

    assert world.clients.of(TENANT) is used


def test_another_application_is_not_taken_over(world: World) -> None:
    """Recorded work belongs to the application of the start, so such a change needs a restart."""
    used = world.clients.of(TENANT)

    assert world.clients.renew(configured("second", auth0_client_id="another")) == [TENANT]
    assert world.clients.of(TENANT) is used


@pytest.mark.parametrize("kind", [Kind.SEND_EMAIL, Kind.LOGIN_WITH_EMAIL])
@pytest.mark.parametrize("wait", [timedelta(), timedelta(seconds=5)])
def test_an_attempt_with_a_replaced_credential_is_deferred(kind: Kind, wait: timedelta) -> None:
    """It costs no attempt."""
    endpoint = Endpoint.TOKEN if kind.is_login else Endpoint.START
    body = parse_error_body(b'{"error": "invalid_client", "error_description": "Unauthorized"}')
    failure = classify(endpoint, 401, body, rate_limits=RateLimits(), now_epoch_s=0)
    attempt = Attempt(kind, 1, NOW, NOW + timedelta(minutes=1), new_credential_in=wait)

    assert decide(failure, attempt, RetryLimits()) == Deferred(wait)
    final = Attempt(kind, 1, NOW, NOW + timedelta(minutes=1))
    assert decide(failure, final, RetryLimits()) == Dead(State.REJECTED, Reason.CLIENT_REJECTED)
