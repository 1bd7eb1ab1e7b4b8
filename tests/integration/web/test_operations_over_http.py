"""Operations over HTTP: a result is given once, for its redeem token, and a waiting operation can be cancelled."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis

from gatepost_core.settings import Settings
from gatepost_core.states import State
from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from gatepost_worker.process import Process
from support.ledger_calls import begin_attempt
from support.sealing_keys import SEALING_KEY
from support.web_api import running_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from gatepost_core.ledger import Ledger
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey
    from support.web_api import Api

# Celery's result backend stores with a call that redis-py would have written otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


class World:
    """The API, and the part of a worker that runs an operation."""

    def __init__(self, api: Api, process: Process, simulator: SimulatorServer) -> None:
        self.api, self.client = api, api.client(scopes=["redeem"])
        self._process, self._simulator = process, simulator

    def logged_in(self, email: str) -> dict[str, Any]:
        """The answer to a login that has ended."""
        sent = self.client.post("/v1/messages", json={"email": email}).json()
        self.run(sent)
        code = self._simulator.control.latest_code(email)
        login: dict[str, Any] = self.client.post("/v1/logins", json={"email": email, "code": code}).json()
        self.run(login)
        return login

    @property
    def ledger(self) -> Ledger:
        """The API's ledger."""
        ledger: Ledger = self.api.app.state.services.producer.ledger
        return ledger

    def messages_to(self, email: str) -> list[Any]:
        """What Auth0 sent to an address."""
        return self._simulator.control.messages(email)

    def run(self, accepted: dict[str, Any]) -> None:
        """Carry out an operation, as a worker does."""
        self._process.runner.run(accepted["operation_id"])

    def redeem(self, login: dict[str, Any], token: str | None = None) -> httpx.Response:
        """The answer to a redemption."""
        path = f"/v1/operations/{login['operation_id']}/redeem"
        return self.client.post(path, json={"redeem_token": token or login["redeem_token"]})


@pytest.fixture(scope="module")
def world(valkey_server: EmbeddedValkey) -> Iterator[World]:
    """Everything that a login needs, with an empty Valkey."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    with SimulatorServer(quota={"plan": "unlimited"}) as simulator:
        settings = Settings(
            redis_url=valkey_server.url,
            sealing_keys=SEALING_KEY.reveal(),
            fingerprint_key="a fingerprint key of the tests alone",
            auth0_domain=simulator.domain,
            auth0_base_url=simulator.url,
            auth0_client_id=DEV_CLIENT_ID,
            auth0_client_secret=DEV_CLIENT_SECRET,
        )
        process = Process(settings)
        process.prepare()
        with running_api(settings) as api, closing(process):
            yield World(api, process, simulator)


def test_a_token_set_is_given_once(world: World) -> None:
    """A wrong token redeems nothing, and the second answer says that it was redeemed before."""
    login = world.logged_in("ana@example.com")
    wrong = world.redeem(login, "A" * 43)
    first, second = world.redeem(login), world.redeem(login)

    assert (wrong.status_code, wrong.json()["type"]) == (403, "urn:gatepost:problem:wrong-redeem-token")
    assert (first.status_code, first.json()["type"], first.headers["cache-control"]) == (200, "token_set", "no-store")
    assert first.json()["access_token"]
    assert (second.status_code, second.json()["type"]) == (410, "urn:gatepost:problem:nothing-to-redeem")


def test_a_second_factor_is_a_result_too(world: World) -> None:
    """The challenge holds the MFA token, once."""
    login = world.logged_in("ana+mfa@example.com")
    first, second = world.redeem(login), world.redeem(login)

    assert (first.status_code, first.json()["type"]) == (200, "mfa_challenge")
    assert first.json()["mfa_token"]
    assert second.status_code in {409, 410}


def test_a_refused_login_has_its_reason(world: World) -> None:
    """The problem gives the reason and the advice, and no token."""
    login = world.client.post("/v1/logins", json={"email": "ana@example.com", "code": "000000"}).json()
    world.run(login)
    refused = world.redeem(login)

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:gatepost:problem:not-accepted")
    assert {"reason", "advice"} <= refused.json().keys()


def test_a_waiting_message_is_cancelled(world: World) -> None:
    """Only by the key that sent it. Nothing is sent."""
    sent = world.client.post("/v1/messages", json={"email": "eva@example.com"}).json()
    where = f"/v1/operations/{sent['operation_id']}/cancel"
    foreign = [client.post(where) for client in (world.api.client(), world.api.client(scopes=["console"]))]
    first, second = world.client.post(where), world.client.post(where)
    world.run(sent)

    assert [one.status_code for one in foreign] == [404, 404]
    assert (first.status_code, first.json()["state"]) == (200, "cancelled")
    assert second.json() == first.json()
    assert world.client.get(where.removesuffix("/cancel")).json() == first.json()
    assert world.messages_to("eva@example.com") == []


def test_a_message_is_not_cancelled_once_its_request_has_begun(world: World) -> None:
    """The problem says whether a request is under way, or how the message has ended."""
    sent = world.client.post("/v1/messages", json={"email": "ida@example.com"}).json()
    where = f"/v1/operations/{sent['operation_id']}/cancel"
    begin_attempt(world.ledger, sent["operation_id"], "attempt", 60)
    during = world.client.post(where)
    world.ledger.settle(sent["operation_id"], "attempt", State.ACCEPTED)
    after = world.client.post(where)

    assert {(one.status_code, one.json()["type"]) for one in (during, after)} == {
        (409, "urn:gatepost:problem:conflict")
    }
    assert "under way" in during.json()["detail"]
    assert after.json()["detail"] == "The operation has ended: it is accepted."
