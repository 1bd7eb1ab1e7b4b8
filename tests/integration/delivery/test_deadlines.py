"""Each kind of call has one deadline: the call ends by it, and its lease a margin later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import Producer, Reason, State
from gatepost_core.kinds import Kind
from gatepost_core.ledger import ledger_at
from gatepost_worker.delivery.attempts import Attempts, Begun
from gatepost_worker.delivery.clients import Clients
from gatepost_worker.delivery.ownership import Ownership
from gatepost_worker.delivery.runner import Ended, Runner
from support.keys import KEYS
from support.socket_server import SocketServer
from support.stretched_deadlines import stretched

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost import Handle
    from gatepost_core.settings import Settings
    from gatepost_worker.delivery.attempts import Opened
    from gatepost_worker.delivery.runner import Progress
    from support.socket_server import Heard, Wire

LONG_S = 100.0
DEADLINES = {
    Kind.SEND_EMAIL: "email_deadline",
    Kind.SEND_SMS: "sms_deadline",
    Kind.LOGIN_WITH_EMAIL: "login_deadline",
    Kind.LOGIN_WITH_SMS: "login_deadline",
}
NOT_VERIFIED = Ended(State.REJECTED, Reason.TOKEN_NOT_VERIFIED)
TOKENS = {"_id": "1", "email": "user@example.com", "access_token": "opaque", "token_type": "Bearer"}


def asked_for(producer: Producer, kind: Kind) -> Handle:
    match kind:
        case Kind.SEND_EMAIL:
            return producer.send_email("user@example.com")
        case Kind.SEND_SMS:
            return producer.send_sms("+12025550123")
        case Kind.LOGIN_WITH_EMAIL:
            return producer.login_with_email("user@example.com", "123456")
        case Kind.LOGIN_WITH_SMS:
            return producer.login_with_sms("+12025550123", "123456")


class Watched(Attempts):
    """Attempts that keep the seconds of each lease."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        super().__init__(client, settings)
        self.client = client
        self.leases: list[float] = []

    def open(self, operation_id: str, attempt: str, **options: Any) -> Opened:
        opened = super().open(operation_id, attempt, **options)
        if isinstance(opened, Begun):
            lease, began = self.client.hmget(KEYS.operation(operation_id), "lease", "updated")
            self.leases.append((int(lease or 0) - int(began or 0)) / 1000)
        return opened


def carried_out(
    make_settings: Callable[..., Settings],
    redis_client: redis.Redis,
    server: SocketServer,
    kind: Kind,
    **deadlines: Any,
) -> tuple[Progress, float]:
    """Carry out one operation of a kind against a server; return its outcome and the seconds of its lease."""
    given = {**dict.fromkeys(DEADLINES.values(), LONG_S), "lease_margin": 7, **deadlines}
    settings = make_settings(AUTH0_BASE_URL=server.url, **given)
    ledger = ledger_at(redis_client, settings)
    attempts = Watched(redis_client, settings)
    clients = Clients(settings)
    runner = Runner(
        settings=settings,
        ledger=ledger,
        attempts=attempts,
        keyring=settings.keyring(),
        fingerprints=settings.fingerprints(),
        clients=clients,
        ownership=Ownership(redis_client, settings),
    )
    try:
        with Producer(settings) as producer:
            progress = runner.run(asked_for(producer, kind).operation_id)
    finally:
        clients.close()
    return progress, attempts.leases[0]


@pytest.mark.parametrize("kind", Kind)
def test_a_short_deadline_ends_the_call_of_its_kind(
    make_settings: Callable[..., Settings], redis_client: redis.Redis, kind: Kind
) -> None:
    """The call is over before the lease is, so it counts as an answer that was lost and not as a worker that was."""

    def call(seconds: float) -> tuple[Progress, float, float, float]:
        started = time.monotonic()
        with SocketServer(lambda wire, _: wire.hang()) as server:
            progress, lease_s = carried_out(make_settings, redis_client, server, kind, **{DEADLINES[kind]: seconds})
        return progress, lease_s, seconds, time.monotonic() - started

    progress, lease_s, deadline_s, took_s = stretched(call, lambda called: isinstance(called[0], Ended))

    assert progress == Ended(State.UNKNOWN, Reason.ANSWER_LOST)
    assert lease_s == deadline_s + 7
    # The deadlines of the other kinds would end it after a hundred seconds.
    assert took_s < LONG_S / 2 + deadline_s


@pytest.mark.parametrize("kind", Kind)
def test_the_deadlines_of_other_kinds_do_not_shorten_a_call(
    make_settings: Callable[..., Settings], redis_client: redis.Redis, kind: Kind
) -> None:
    """An answer that comes after theirs, and within its own, is an answer."""

    def answer(wire: Wire, _: Heard) -> None:
        time.sleep(0.5)
        wire.respond(200, TOKENS)

    others = {name: 0.1 for name in DEADLINES.values() if name != DEADLINES[kind]}
    with SocketServer(answer) as server:
        progress, lease_s = carried_out(make_settings, redis_client, server, kind, **others)

    assert isinstance(progress, Ended)
    assert progress.state is State.ACCEPTED
    assert lease_s == LONG_S + 7


def test_signing_keys_that_do_not_come_end_a_login_within_its_lease(
    make_settings: Callable[..., Settings], redis_client: redis.Redis
) -> None:
    """They have the rest of the token call's deadline, and half of the margin."""

    def answer(wire: Wire, heard: Heard) -> None:
        if heard.target == "/oauth/token":
            wire.respond(200, {**TOKENS, "id_token": "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.c2ln"})
        else:
            wire.hang()

    def call(deadline_s: float) -> tuple[Progress, float, float, float]:
        started = time.monotonic()
        with SocketServer(answer) as server:
            progress, lease_s = carried_out(
                make_settings, redis_client, server, Kind.LOGIN_WITH_EMAIL, login_deadline=deadline_s, lease_margin=2
            )
        return progress, lease_s, deadline_s, time.monotonic() - started

    progress, lease_s, deadline_s, took_s = stretched(call, lambda called: called[0] == NOT_VERIFIED)

    assert progress == NOT_VERIFIED
    assert lease_s == deadline_s + 2
    # The keys' own time limit would be a hundred seconds.
    assert took_s < LONG_S / 2 + deadline_s
