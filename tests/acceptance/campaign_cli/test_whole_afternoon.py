"""One afternoon with a file of 20,000 rows, from the check to the erasure, in a terminal of 80 columns."""

from __future__ import annotations

import json
import re
import shlex
import time
from typing import TYPE_CHECKING, Final

import pytest

from support.campaign_terminal import Terminal
from support.narrow_terminal import run_in_terminal
from support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatepost_operations.local.embedded_valkey import EmbeddedValkey
    from gatepost_simulator.server import SimulatorServer
    from support.narrow_terminal import Shown

pytestmark = [pytest.mark.afternoon, pytest.mark.timeout(900)]

ROWS: Final = 20_000
NAME: Final = "Kundenliste Frühjahr 2027"


def write_file(terminal: Terminal) -> None:
    """Write the file as it was handed over: semicolons, other columns, 20 wrong addresses, one duplicate, a few odd recipients."""
    lines = ["E-Mail;Vorname;Nachname"]
    for number in range(ROWS):
        tag = {7: "+bad-email", 3340: "+bad-email", 7000: "+bad-connection", 6000: "+503-after"}.get(number, "")
        person = 4443 if number == 4444 else number
        domain = "example" if number % 1000 == 500 else "example.com"
        lines.append(f"person{person}{tag}@{domain};Vor{number};Nach{number}")
    (terminal.directory / f"{NAME}.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")


@pytest.fixture
def patient(valkey: EmbeddedValkey, simulator: SimulatorServer, tmp_path: Path) -> Iterator[Terminal]:
    """A shell next to a worker for campaigns with few and patient calls, of which a busy machine loses none."""
    with Stack(valkey, simulator, tmp_path, {"GATEPOST_EMAIL_DEADLINE": "60", "GATEPOST_CALLS": "32"}) as stack:
        stack.worker("gatepost.bulk")
        stack.worker("gatepost.send")
        stack.beat()
        yield Terminal(stack, tmp_path)


class Afternoon:
    """The typed commands, step by step, and their output.

    Attributes:
        shown: the output of each step.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.shown: dict[str, Shown] = {}

    def enter(self, step: str, command: str, *, typed: str = "") -> None:
        """Enter a command in a terminal of 80 columns."""
        self.shown[step] = run_in_terminal(
            shlex.split(command),
            environment=self._terminal.environment,
            directory=self._terminal.directory,
            typed=typed,
        )

    def said(self) -> dict[str, str]:
        """The words of each step, whatever the line ends."""
        return {step: " ".join(one.text.split()) for step, one in self.shown.items()}


def before_sending(afternoon: Afternoon, directory: Path) -> None:
    """Check the file, correct what the check rejected, rehearse and plan."""
    afternoon.enter("check", f"campaign check '{NAME}.csv'")
    rejects = directory / f"{NAME}.rejects.csv"
    corrected = rejects.read_text(encoding="utf-8-sig").replace("@example;", "@example.com;")
    rejects.write_text(corrected, encoding="utf-8")
    afternoon.enter("corrected", f"campaign check '{NAME}.rejects.csv'")
    afternoon.enter("test", f"campaign test '{NAME}.csv' --to me@example.com", typed="y\n")
    afternoon.enter("plan", f"campaign plan '{NAME}.csv'")


def send_all(afternoon: Afternoon, terminal: Terminal) -> None:
    """Send, add the corrected rows, change the rate, and wait for the end."""
    send = f"campaign send '{NAME}.csv' --name spring --skip-invalid --no-watch"
    afternoon.enter("refused", send, typed="n\n")
    afternoon.enter("send", send, typed="y\n")
    afternoon.enter("add", f"campaign add spring '{NAME}.rejects.csv'")
    afternoon.enter("change", "campaign change spring --rate 100000")
    while json.loads(terminal.run("campaign", "status", "spring", "--json")[1])["status"] == "running":
        time.sleep(2)


def afterwards(afternoon: Afternoon) -> None:
    """Look, decide about the rest, export, erase a person, and verify the log."""
    afternoon.enter("status", "campaign status spring")
    afternoon.enter("list", "campaign list")
    afternoon.enter("retry", "campaign retry spring --dry-run")
    afternoon.enter("export", "campaign export spring --state failed -o failed.csv")
    afternoon.enter("again", "campaign export spring --state failed -o failed.csv")
    afternoon.enter("cancel", "campaign cancel spring")
    afternoon.enter("erase", "erase person7+bad-email@example.com", typed="y\n")
    afternoon.enter("verify", "audit verify")
    afternoon.enter("audit", "audit list")


def test_an_afternoon_from_the_check_to_the_erasure(patient: Terminal) -> None:
    """Every step fits 80 columns, says what it did, and names the next step."""
    write_file(patient)
    afternoon = Afternoon(patient)
    before_sending(afternoon, patient.directory)
    send_all(afternoon, patient)
    afterwards(afternoon)
    counts = json.loads(patient.run("campaign", "status", "spring", "--json")[1])["counts"]
    shown, said = afternoon.shown, afternoon.said()

    assert {step: one.too_wide for step, one in shown.items() if one.too_wide} == {}
    assert {step: one.code for step, one in shown.items() if one.code} == {
        "check": 6,
        "refused": 5,
        "status": 3,
        "again": 5,
    }
    assert (counts["accepted"], counts["rejected"], counts["unknown"]) == (19_995, 3, 1)
    assert "20 invalid" in said["check"]
    assert "20 valid, 0 invalid" in said["corrected"]
    assert "Nothing was done." in said["refused"]
    assert "19,979 added" in said["send"]
    assert "The campaign spring is running. It sends to new recipients at once." in said["add"]
    assert "spring: rate none → 100,000/s" in said["change"]
    assert "correct it, or leave it out" in said["status"]
    assert re.search(r"spring finished 19,999 100 % 3 1 \d\d:\d\d", said["list"])
    assert "1 recipient would be queued again" in said["retry"]
    assert "2 skipped, because a retry cannot succeed" in said["retry"]
    assert "1 rejected signup_disabled needs a correction" in said["retry"]
    assert "3 recipients in failed.csv" in said["export"]
    assert "failed.csv exists already" in said["again"]
    assert "nothing to cancel" in said["cancel"]
    assert "1 row of a campaign" in said["erase"]
    assert re.match(r"intact, \d+ entries head [0-9a-f]{64}$", said["verify"])
    assert "campaign.change" in said["audit"]
    assert "rate none → 100000.0" in said["audit"]
