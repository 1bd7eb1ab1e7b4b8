"""The HTTP API, the console, `recover`, `metrics` and `probe` work with the Redis user that docs/how-to/secure-redis.md names for them."""

from __future__ import annotations

import json
import signal
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis
from pydantic import SecretStr

from gatepost import Producer
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.redis.connections import connect
from gatepost_core.settings import Settings
from gatepost_core.states import State
from gatepost_core.webhooks.events import EventType
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_operations.planning.workers import queues_by_worker
from gatepost_operations.web.console.security.operators import Level
from support.campaign_parts import rows
from support.documented_services import as_role, new_api_key, services_beside
from support.keys import KEYS
from support.mailboxes import PASSWORD, USER, Mailbox, MailServer
from support.redis_roles import PAGE, ROLES, create_users, url_of
from support.stack import Stack
from support.web_api import CONSOLE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from gatepost_simulator.server import SimulatorServer
    from support.documented_services import Services
    from support.tls_authority import Authority

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the wheel's tests run without the documentation")

_WHOLE_LOG = 128
QUEUES = "gatepost.login,gatepost.send,gatepost.bulk"
CSV = {"content-type": "text/csv"}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer) -> Iterator[Services]:
    """A Valkey with the documented users, a worker, the HTTP API and the console."""
    directory = tmp_path_factory.mktemp("services")
    with EmbeddedValkey(directory / "valkey") as valkey, Stack(valkey, simulator_server, directory) as stack:
        with stack.redis() as client:
            create_users(client)
            # As if an endpoint had subscribed to all events.
            client.sadd(KEYS.webhook_types, *(type_.value for type_ in EventType))
        stack.environment["GATEPOST_REDIS_URL"] = url_of("worker", valkey.port)
        stack.worker(QUEUES)
        with services_beside(stack) as running:
            yield running


@pytest.fixture(autouse=True)
def refusals(services: Services) -> Iterator[Callable[[], set[str]]]:
    """The commands and keys that Redis refused; none at the end of a test that works."""

    def refused() -> set[str]:
        with services.stack.redis() as client:
            return {
                f"{one['username']} {one['reason']} {one['object']}: {one['client-info']['cmd']}"
                for one in client.acl_log(_WHOLE_LOG)
            }

    with services.stack.redis() as client:
        client.acl_log_reset()
    yield refused

    assert refused() == set()


@pytest.fixture
def guest() -> str:
    return f"guest-{uuid.uuid4().hex}@example.com"


@pytest.fixture
def program(services: Services) -> httpx.Client:
    """A program with every right of an API key."""
    return services.api.client_with(new_api_key(services.stack))


def answered(answer: httpx.Response) -> Any:
    """Return what a request was answered with, which is no error."""
    assert answer.status_code < 400, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.headers["content-type"].endswith("json") else answer.text


def ended(services: Services, client: httpx.Client, accepted: dict[str, Any]) -> str:
    """Wait for an operation, and return its state."""
    path = f"/v1/operations/{accepted['operation_id']}"
    services.stack.until(lambda: State(answered(client.get(path))["state"]).is_terminal, path)
    return str(answered(client.get(path))["state"])


def add_letters(services: Services, number: int) -> list[str]:
    """Put messages that no worker could accept among the dead letters."""
    settings = as_role(services.stack, "worker")
    with connect(settings) as client:
        letters = DeadLetters(client, KEYS, settings.keyring())
        return [letters.add({"raw": "broken"}, reason="broken", queue="gatepost.send") for _ in range(number)]


def test_the_http_api_sends_logs_in_and_redeems(services: Services, program: httpx.Client, guest: str) -> None:
    """With an idempotency key and without, one message or many."""
    sent = answered(program.post("/v1/messages", json={"email": guest}))
    state = ended(services, program, sent)
    code = services.stack.simulator.control.latest_code(guest, wait_s=10)
    once = {"Idempotency-Key": guest}
    login = answered(program.post("/v1/logins", json={"email": guest, "code": code, "scope": "openid"}, headers=once))
    again = answered(program.post("/v1/logins", json={"email": guest, "code": code, "scope": "openid"}, headers=once))
    logged_in = ended(services, program, login)
    redeemed = answered(
        program.post(f"/v1/operations/{login['operation_id']}/redeem", json={"redeem_token": login["redeem_token"]})
    )
    many = [{"email": guest}, {"email": f"x-{guest}", "idempotency_key": f"x-{guest}"}]
    results = answered(program.post("/v1/messages", json=many))["results"]

    assert (state, logged_in, redeemed["type"]) == ("accepted", "accepted", "token_set")
    assert (again["operation_id"], again["existing"]) == (login["operation_id"], True)
    assert [result["status"] for result in results] == [202, 202]


def test_the_http_api_cancels(services: Services, program: httpx.Client, guest: str) -> None:
    """A message that no worker has taken."""
    # An ended operation cannot be cancelled, so the worker must not be quicker.
    worker = services.stack.programs[0].process
    worker.send_signal(signal.SIGSTOP)
    try:
        sent = answered(program.post("/v1/messages", json={"email": guest}))
        cancelled = answered(program.post(f"/v1/operations/{sent['operation_id']}/cancel"))
    finally:
        worker.send_signal(signal.SIGCONT)

    assert cancelled["state"] == "cancelled"


def test_the_http_api_runs_campaigns(services: Services, program: httpx.Client, guest: str) -> None:
    """From creation to the results."""
    created = program.post("/v1/campaigns", json={"name": "spring"})
    answered(created)
    campaign = created.headers["location"]
    answered(program.post(f"{campaign}/recipients", content=f"email\n{guest}\nx-{guest}\n", headers=CSV))
    answered(program.get(f"{campaign}/plan"))
    answered(program.post(f"{campaign}/change", json={"rate": 5}))
    answered(program.post(f"{campaign}/test", json={"to": [f"test-{guest}"]}))
    for act in ("start", "pause", "resume"):
        answered(program.post(f"{campaign}/{act}"))
    services.stack.until(lambda: answered(program.get(campaign))["status"] == "finished", "the campaign is finished")
    answered(program.post(f"{campaign}/retry", json={"dry_run": True, "states": ["unknown"]}))
    found = answered(program.get(f"{campaign}/recipients"))["recipients"]
    exported = program.get(f"{campaign}/export")
    other = program.post("/v1/campaigns", json={"name": "other"}).headers["location"]
    answered(program.post(f"{other}/recipients", content=f"email\n{guest}\n", headers=CSV))
    answered(program.post(f"{other}/suppress", json={}))
    answered(program.post(f"{other}/cancel"))

    assert [recipient["state"] for recipient in found] == ["accepted", "accepted"]
    assert guest in exported.text
    assert campaign.rpartition("/")[2] in {
        one["campaign_id"] for one in answered(program.get("/v1/campaigns"))["campaigns"]
    }


def test_the_http_api_keeps_dead_letters_lists_and_the_audit_log(services: Services, guest: str) -> None:
    """For the console."""
    console = services.api.client_with(CONSOLE_KEY, **{"Gatepost-Actor": "ada"})
    one, other, *_ = add_letters(services, 5)
    answered(console.post(f"/v1/dead-letters/{one}/replay"))
    answered(console.post(f"/v1/dead-letters/{other}/drop"))
    listed = answered(console.get("/v1/dead-letters"))["letters"]
    for act in ("replay", "drop"):
        counted = answered(console.post(f"/v1/dead-letters/{act}", json={"reason": "broken", "dry_run": True}))
        answered(console.post(f"/v1/dead-letters/{act}", json={"reason": "broken", "confirmed": counted["letters"]}))
    answered(console.post("/v1/suppressions", json={"recipient": guest}))
    answered(console.post("/v1/suppressions/find", json={"recipient": guest}))
    answered(console.request("DELETE", "/v1/suppressions", json={"recipient": guest}))
    answered(console.get("/v1/suppressions"))
    answered(console.get("/v1/quota"))
    answered(console.post("/v1/quota/clear", json={"endpoint": "passwordless/start"}))

    assert {letter["reason"] for letter in listed} == {"broken"}
    assert answered(console.get("/v1/audit"))["entries"]


def test_the_console_shows_every_page(services: Services, guest: str) -> None:
    """For an admin who signs in and out; `/workers` and the answers of the workers too."""
    add_letters(services, 2)
    with Producer(as_role(services.stack, "operator")) as producer:
        operation_id = producer.send_email(guest).operation_id
        campaign = producer.campaigns.create("console")
        producer.campaigns.add(campaign, rows(3))
    browser = services.console.signed_in(Level.ADMIN)
    pages = [
        "/campaigns",
        f"/campaigns/{campaign}",
        f"/campaigns/{campaign}/recipients",
        f"/campaigns/{campaign}/plan",
        f"/campaigns/{campaign}/change",
        "/operations",
        f"/operations/{operation_id}",
        "/dead-letters",
        "/dead-letters/replay",
        "/workers",
        "/quota",
        "/suppression",
        "/audit",
        "/health",
    ]
    for page in pages:
        answered(browser.get(page, follow_redirects=True))
    answered(browser.post(f"/campaigns/{campaign}/start", follow_redirects=True))
    answers = answered(browser.get("/workers/answers"))
    services.console.try_password(services.console.browser(), "ada", "wrong")
    browser.post("/sign-out")

    assert "worker0@test" in answers
    assert browser.get("/workers").status_code == 303


def test_the_consoles_accounts_are_kept_as_console(services: Services) -> None:
    """The command ends sessions, whose keys it must find."""
    services.console.signed_in(Level.ADMIN)
    program = services.stack.start(
        "users",
        "-m",
        "gatepost_operations.cli",
        "console-users",
        "sign-out",
        "ada",
        "--json",
        GATEPOST_REDIS_URL=url_of("console", services.stack.valkey.port),
        GATEPOST_CONSOLE_USERS=str(services.console.accounts),
    )

    assert program.wait() == 0, program.output()
    assert json.loads(program.output())["ended"] >= 1


def test_the_metrics_are_read_as_reader(services: Services) -> None:
    """All of them: neither Redis nor the broker is down."""
    program = services.stack.start(
        "metrics",
        "-m",
        "gatepost_operations.cli",
        "metrics",
        "--once",
        GATEPOST_REDIS_URL=url_of("reader", services.stack.valkey.port),
    )

    assert program.wait() == 0, program.output()
    assert "gatepost_redis_up 1" in program.output()
    assert "gatepost_broker_up 1" in program.output()


def test_a_probe_logs_in_as_operator(services: Services, authority: Authority) -> None:
    """And stores its result."""
    stack = services.stack
    with Mailbox(authority) as mailbox, MailServer(lambda _, raw: mailbox.put(raw) and None) as smtp:
        stack.simulator.control.change_settings(smtp={"server": smtp.server})
        try:
            program = stack.start(
                "probe",
                "-m",
                "gatepost_operations.cli",
                "probe",
                "--json",
                GATEPOST_REDIS_URL=url_of("operator", stack.valkey.port),
                AUTH0_CLIENT_SECRET="",
                GATEPOST_PROBE_ADDRESS="probe@example.com",
                GATEPOST_PROBE_IMAP_HOST="localhost",
                GATEPOST_PROBE_IMAP_PORT=str(mailbox.port),
                GATEPOST_PROBE_IMAP_USER=USER,
                GATEPOST_PROBE_IMAP_PASSWORD=PASSWORD,
                GATEPOST_PROBE_IMAP_CA_BUNDLE=authority.bundle,
            )
            assert program.wait(120) == 0, program.output()
        finally:
            stack.simulator.control.reset()


@pytest.mark.parametrize(("role", "code"), [("worker", 0), ("operator", 4)])
def test_a_backup_is_recovered_as_worker_and_refused_by_name_as_operator(
    services: Services, tmp_path_factory: pytest.TempPathFactory, role: str, code: int
) -> None:
    """The refusal names the ACL, and does not say that the broker did not answer."""
    directory = tmp_path_factory.mktemp("recover")
    with EmbeddedValkey(directory / "valkey") as valkey, Stack(valkey, services.stack.simulator, directory) as stack:
        with stack.redis() as client:
            create_users(client)
        with Producer(as_role(stack, "operator")) as producer:
            producer.send_email("ana@example.com")
        program = stack.start(
            "recover",
            "-m",
            "gatepost_operations.cli",
            "recover",
            "--backup-of",
            "1h",
            "--yes",
            GATEPOST_REDIS_URL=url_of(role, valkey.port),
        )

        assert program.wait() == code, program.output()
        assert ("does not allow this user" in program.output()) is (role == "operator")
        assert "did not answer" not in program.output()


@pytest.mark.parametrize("role", ["operator", "console"])
def test_a_question_that_no_worker_answers_needs_no_right_on_held_messages(valkey: EmbeddedValkey, role: str) -> None:
    """It is no refusal that no worker runs."""
    with redis.Redis.from_url(valkey.url) as client:
        create_users(client)
        client.acl_log_reset()
        answers = queues_by_worker(Settings(redis_url=SecretStr(url_of(role, valkey.port))), answer_within_s=1)
        refused = client.acl_log(_WHOLE_LOG)
        for one in ROLES:
            client.execute_command("ACL", "DELUSER", one)

    assert answers == {}
    assert refused == []
