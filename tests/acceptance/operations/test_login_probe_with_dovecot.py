"""The login probe with Debian's Dovecot, to which the simulator delivers over SMTP: each fault is named within one interval."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from support.dovecot import Dovecot
from support.mailboxes import MailServer
from support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.tls_authority import Authority

pytestmark = pytest.mark.dovecot

ADDRESS = "probe+production@example.com"
USER = "probe@example.com"
PASSWORD = "a password for tests"
# Between the steps of a run passes some time, too.
_ROUNDING = timedelta(seconds=0.5)
OLD = b"To: %s\r\nFrom: login@example.net\r\nSubject: old\r\n\r\nYour code: 111111\r\n"


class Desk:
    """A stack with a worker, Dovecot, and a probe on a schedule of ten seconds."""

    def __init__(self, stack: Stack, dovecot: Dovecot, authority: Authority) -> None:
        self.stack = stack
        self.dovecot = dovecot
        self.secret = stack.directory / "password"
        self.secret.write_text(PASSWORD)
        environment = {
            "GATEPOST_PROBE_ADDRESS": ADDRESS,
            "GATEPOST_PROBE_IMAP_HOST": "localhost",
            "GATEPOST_PROBE_IMAP_PORT": str(dovecot.port),
            "GATEPOST_PROBE_IMAP_USER": USER,
            "GATEPOST_PROBE_IMAP_PASSWORD_FILE": str(self.secret),
            "GATEPOST_PROBE_IMAP_CA_BUNDLE": authority.bundle,
            "GATEPOST_PROBE_ARRIVAL_TIMEOUT": "6",
        }
        command = ["-m", "gatepost_operations.cli", "probe", "--json", "--every", "10s"]
        self.probe = stack.start("probe", *command, **environment)

    def results(self) -> list[dict[str, Any]]:
        """Return the results so far."""
        documents = [json.loads(line) for line in self.probe.output().splitlines() if line.endswith("}")]
        return [one for one in documents if "exit_code" in one]

    def next_result(self) -> dict[str, Any]:
        """Return the result of the first run that begins after now."""
        now = datetime.now(UTC) + _ROUNDING

        def begun_since() -> list[dict[str, Any]]:
            return [one for one in self.results() if _begun_at(one) >= now]

        self.stack.until(lambda: bool(begun_since()), "a run that began later has ended", self.probe)
        return begun_since()[0]


def _begun_at(result: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(result["last_run_at"]) - timedelta(seconds=sum(result["seconds"].values()))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Desk]:
    """Everything started, with two messages that are there before the first run."""
    directory = tmp_path_factory.mktemp("dovecot")
    with (
        EmbeddedValkey(directory / "valkey") as valkey,
        SimulatorServer(tls=True, quota={"plan": "unlimited"}) as simulator,
        Dovecot(authority, USER, PASSWORD) as dovecot,
        MailServer(dovecot.deliver) as smtp,
        Stack(valkey, simulator, directory, {"GATEPOST_CREDENTIAL_PATIENCE": "5"}) as stack,
    ):
        simulator.control.change_settings(smtp={"server": smtp.server})
        dovecot.deliver(ADDRESS, OLD % ADDRESS.encode())
        dovecot.deliver(USER, OLD % USER.encode())
        stack.worker()
        yield Desk(stack, dovecot, authority)


def _template(desk: Desk) -> Callable[[], object]:
    desk.stack.simulator.control.change_settings(smtp={"template": "without_code"})
    return lambda: desk.stack.simulator.control.change_settings(smtp={"template": "code"})


def _link(desk: Desk) -> Callable[[], object]:
    desk.stack.simulator.control.change_settings(smtp={"template": "link"})
    return lambda: desk.stack.simulator.control.change_settings(smtp={"template": "code"})


def _secret(desk: Desk) -> Callable[[], object]:
    control = desk.stack.simulator.control
    control.register_client(client_id=DEV_CLIENT_ID, client_secret="another secret of the client")
    return lambda: control.register_client(client_id=DEV_CLIENT_ID, client_secret=DEV_CLIENT_SECRET)


def _connection(desk: Desk) -> Callable[[], object]:
    control = desk.stack.simulator.control
    disabled = {"name": "email", "strategy": "email", "enabled": False}
    control.change_settings(connections=[disabled])
    return lambda: control.change_settings(connections=[{**disabled, "enabled": True}])


def _password(desk: Desk) -> Callable[[], object]:
    desk.dovecot.set_password("renewed, and the probe does not know it")
    return lambda: desk.secret.write_text("renewed, and the probe does not know it")


def _mail_server(desk: Desk) -> Callable[[], object]:
    desk.dovecot.stop()
    return desk.dovecot.start


FAULTS = [
    (_template, "arrival", "message_without_code"),
    (_link, "arrival", "message_with_link"),
    (_secret, "send", "client_rejected"),
    (_connection, "send", "connection_misconfigured"),
    (_password, "mailbox", "mailbox_login_refused"),
    (_mail_server, "mailbox", "mailbox_unreachable"),
]


def test_a_healthy_login_leaves_the_mailbox_as_it_was(desk: Desk) -> None:
    """An old message to the same address is not taken, and none of another plus-address; the used one is deleted."""
    result = desk.next_result()

    assert result["reason"] == "ok"
    assert all(result["seconds"][step] < 60 for step in ("mailbox", "send", "arrival", "login", "tokens"))
    assert len([path for path in desk.dovecot.messages() if b"111111" in path.read_bytes()]) == 2


@pytest.mark.parametrize(("inject", "step", "reason"), FAULTS, ids=[reason for _, _, reason in FAULTS])
def test_a_fault_is_named_within_one_interval(
    desk: Desk, inject: Callable[[Desk], Callable[[], object]], step: str, reason: str
) -> None:
    """By the first run after it, and the first run after its correction succeeds; the metric says the same."""
    correct = inject(desk)
    found = desk.next_result()
    with desk.stack.redis() as client:
        stored = client.hmget("gatepost:probe:default:email", "step", "reason")
    correct()
    healthy = desk.next_result()

    assert (found["step"], found["reason"]) == (step, reason)
    assert stored == [step.encode(), reason.encode()]
    assert healthy["reason"] == "ok"
