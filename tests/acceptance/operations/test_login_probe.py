"""`gatepost probe` as a process, beside a real worker, with an IMAP server that the simulator delivers to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_simulator.server import SimulatorServer
from support.free_ports import free_port
from support.mailboxes import PASSWORD, USER, Mailbox, MailServer
from support.planted_secrets import Recording, found
from support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.stack import Program
    from support.tls_authority import Authority

pytestmark = pytest.mark.slow

NAME = "canary-probe-u5r2"
ADDRESS = f"{NAME}@example.com"
# So long that no number in a log or a time stamp equals one by chance.
DIGITS = 12


class Desk:
    """A stack with a worker, a mailbox, and the probe's configuration."""

    def __init__(self, stack: Stack, mailbox: Mailbox, smtp: str, authority: Authority) -> None:
        self.stack = stack
        self.mailbox = mailbox
        self.stack.simulator.control.change_settings(smtp={"server": smtp})
        self.environment = {
            "GATEPOST_PROBE_ADDRESS": ADDRESS,
            "GATEPOST_PROBE_IMAP_HOST": "localhost",
            "GATEPOST_PROBE_IMAP_PORT": str(mailbox.port),
            "GATEPOST_PROBE_IMAP_USER": USER,
            "GATEPOST_PROBE_IMAP_PASSWORD": PASSWORD,
            "GATEPOST_PROBE_IMAP_CA_BUNDLE": authority.bundle,
            "GATEPOST_PROBE_CODE_PATTERN": rf"\b\d{{{DIGITS}}}\b",
            "GATEPOST_PROBE_OPERATION_TIMEOUT": "120",
            "GATEPOST_LOG_LEVEL": "DEBUG",
        }

    def start(self, *options: str, **changes: str) -> Program:
        command = ["-m", "gatepost_operations.cli", "probe", "--json", *options]
        return self.stack.start("probe", *command, **{**self.environment, **changes})

    def run(self, *options: str, **changes: str) -> tuple[int, list[dict[str, Any]]]:
        """Run it, and return its exit code and its lines: all are JSON, events and the result."""
        program = self.start(*options, **changes)
        code = program.wait(120)
        return code, [json.loads(line) for line in program.output().splitlines()]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Desk]:
    """The stack of these tests, whose codes are long."""
    directory = tmp_path_factory.mktemp("probe")
    connections = [{"name": "email", "strategy": "email", "digits": DIGITS}]
    with (
        EmbeddedValkey(directory / "valkey") as valkey,
        SimulatorServer(tls=True, quota={"plan": "unlimited"}, connections=connections) as simulator,
        Mailbox(authority) as mailbox,
        MailServer(lambda _, raw: mailbox.put(raw) and None) as smtp,
        Stack(valkey, simulator, directory) as stack,
    ):
        desk = Desk(stack, mailbox, smtp.server, authority)
        stack.worker(GATEPOST_LOG_LEVEL="DEBUG")
        yield desk


def test_a_probe_reports_success_and_failures_and_shows_no_secret(desk: Desk) -> None:
    """In its exit code, its output and its log; no address, code, token or password is readable there, in Redis or in the worker's log."""
    control = desk.stack.simulator.control
    with Recording(desk.stack.valkey.port) as recording:
        healthy, lines = desk.run()
        codes = [message["code"] for message in control.messages(ADDRESS)]
        refused, refusal = desk.run(GATEPOST_PROBE_IMAP_PASSWORD=f"{PASSWORD}-old")
        control.change_settings(smtp={"template": "link"})
        broken, breakage = desk.run(GATEPOST_PROBE_ARRIVAL_TIMEOUT="4")
        codes += [message["code"] for message in control.messages(ADDRESS)]
        shown, last = desk.run("--last")

    assert (healthy, refused, broken, shown) == (0, 4, 3, 3)
    assert [line["reason"] for line in lines] == ["ok", "ok"]
    assert [(line["step"], line["reason"]) for line in refusal] == [("mailbox", "mailbox_login_refused")] * 2
    assert {line["step"] for line in breakage} == {"arrival"}
    assert last[-1]["reason"] in {"message_with_link", "message_late"}
    assert last[-1]["last_success_at"] == lines[-1]["last_success_at"]
    assert len(set(codes)) == 2
    for place in (recording.text(), desk.stack.output()):
        assert "probe" in place
        assert found([NAME, PASSWORD, *codes], place) == []
    assert "eyJ" not in "".join(one.output() for one in desk.stack.programs if one.name == "probe")


def test_a_scheduled_probe_ends_when_it_is_asked_to(desk: Desk) -> None:
    """It runs at once, and leaves no lock behind."""
    desk.stack.simulator.control.change_settings(smtp={"template": "code"})
    program = desk.start("--every", "1h")
    desk.stack.until(lambda: '"exit_code"' in program.output(), "the first run has ended", program)
    program.terminate()

    assert program.wait(60) == 0
    assert '"reason": "ok"' in program.output()
    with desk.stack.redis() as client:
        assert [key for key in client.scan_iter() if b"probe" in key] == [b"gatepost:probe:default:email"]


def test_a_scheduled_probe_outlasts_an_outage_of_redis(desk: Desk) -> None:
    """It has no result then, and says so in its log; once, it ends with the exit code of an outage."""
    away = f"redis://127.0.0.1:{free_port()}/0"
    program = desk.start("--every", "10s", GATEPOST_REDIS_URL=away)
    once, lines = desk.run(GATEPOST_REDIS_URL=away)
    desk.stack.until(lambda: "probe.not_run" in program.output(), "a run was tried", program)
    waits = program.process.poll() is None
    program.terminate()

    assert waits
    assert once == 1
    assert lines[-1]["error"]["type"] == "Unavailable"
    assert program.wait(60) == 0


def test_a_probe_without_its_settings_names_the_first_one(desk: Desk) -> None:
    """Before anything is sent, and as a configuration error."""
    code, lines = desk.run(GATEPOST_PROBE_ADDRESS="")

    assert code == 4
    assert "GATEPOST_PROBE_ADDRESS is not set" in lines[-1]["error"]["message"]
