"""Headers, organization and client info reach Auth0 as the settings and the command say."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from gatepost import Producer, State
from gatepost_core.ledger import ledger_at
from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from gatepost_worker.delivery.attempts import Attempts
from gatepost_worker.delivery.clients import Clients
from gatepost_worker.delivery.ownership import Ownership
from gatepost_worker.delivery.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost_core.settings import Settings

Run = Any


@pytest.fixture(scope="module")
def tenant() -> Iterator[SimulatorServer]:
    organizations = [{"id": "org_1", "name": "acme"}]
    with SimulatorServer(in_thread=True, organizations=organizations, quota={"plan": "unlimited"}) as server:
        yield server


@pytest.fixture
def run(tenant: SimulatorServer, make_settings: Callable[..., Settings], redis_client: redis.Redis) -> Run:
    """Return a function that enqueues with the settings of a tenant, carries out, and returns the handle."""

    def carry_out(method: str, *args: str, settings: dict[str, Any] | None = None, **options: Any) -> Any:
        by_default = {
            "auth0_domain": tenant.domain,
            "auth0_client_id": DEV_CLIENT_ID,
            "auth0_client_secret": DEV_CLIENT_SECRET,
            "auth0_base_url": tenant.url,
        }
        made = make_settings(**{**by_default, **(settings or {})})
        with Producer(made) as producer, closing(Clients(made)) as clients:
            handle = getattr(producer, method)(*args, **options)
            runner = Runner(
                settings=made,
                ledger=ledger_at(redis_client, made),
                attempts=Attempts(redis_client, made),
                keyring=made.keyring(),
                fingerprints=made.fingerprints(),
                clients=clients,
                ownership=Ownership(redis_client, made),
            )
            runner.run(handle.operation_id)
            outcome = handle.outcome()
            tokens = handle.redeem() if method.startswith("login") and outcome.state is State.ACCEPTED else None
        return outcome, tokens

    return carry_out


class Recorder(BaseHTTPRequestHandler):
    """Accepts a send, and keeps the headers of the request."""

    seen: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        self.seen.update({name.lower(): value for name, value in self.headers.items()})
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"_id": "1", "email": "headers@example.com"}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_headers_of_one_call_and_of_all_calls(run: Run) -> None:
    """The call's are those that the tenant allows, in any case of letters."""
    with HTTPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        settings = {
            "auth0_base_url": f"http://127.0.0.1:{server.server_port}",
            "auth0_headers": {"cname-api-key": "hush-hush-41"},
            "auth0_allowed_headers": ("X-Trace",),
            "auth0_client_info": {"name": "shop", "version": "1.4"},
        }
        outcome, _ = run("send_email", "headers@example.com", settings=settings, headers={"x-TRACE": "t-1"})
        thread.join()

    assert outcome.state is State.ACCEPTED
    assert Recorder.seen["x-trace"] == "t-1"
    assert Recorder.seen["cname-api-key"] == "hush-hush-41"
    info = json.loads(base64.urlsafe_b64decode(Recorder.seen["auth0-client"] + "=="))
    assert info == {"name": "shop", "version": "1.4"}


def test_a_header_that_the_tenant_does_not_allow(tenant: SimulatorServer, run: Run) -> None:
    """Nothing is sent; the status says why, so that the settings or the command can be corrected."""
    outcome, _ = run("send_email", "refused@example.com", headers={"x-trace": "t-1"})

    assert outcome.state is State.DEFERRED
    assert outcome.blocked is not None
    assert tenant.control.count("refused@example.com") == 0


@pytest.mark.parametrize("organization", ["org_1", "acme"])
def test_a_login_names_its_organization_to_auth0(tenant: SimulatorServer, run: Run, organization: str) -> None:
    """Its id_token then has it, and is checked."""
    recipient = f"{organization}@example.com"
    run("send_email", recipient)
    code = tenant.control.latest_code(recipient)
    outcome, tokens = run("login_with_email", recipient, code, organization=organization)

    assert outcome.state is State.ACCEPTED
    assert tokens.id_token is not None
