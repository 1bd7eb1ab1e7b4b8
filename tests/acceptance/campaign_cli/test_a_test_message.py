"""`gatepost campaign test` and the offer of `send`: with workers and the simulator, the operator alone gets messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.campaign_terminal import Terminal
    from support.stack import Stack

pytestmark = pytest.mark.slow

ME = "me@example.com"
MY_NUMBER = "+12025550143"


@pytest.fixture
def working(stack: Stack, terminal: Terminal) -> Terminal:
    """A shell next to a worker that takes single messages."""
    stack.worker("gatepost.send")
    return terminal


def people(terminal: Terminal) -> str:
    """A file with languages, e-mail addresses and a number."""
    rows = ["email,phone_number,language", "canary1@example.com,,de", "canary2@example.com,,fr", ",+12025550187,es"]
    (terminal.directory / "people.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")
    return "people.csv"


def test_the_operator_gets_the_message_of_a_row_and_nobody_else(working: Terminal, stack: Stack) -> None:
    """Nothing is recorded as a campaign, and no address of the file or of the operator is shown."""
    code, out, err = working.run(
        "campaign", "test", people(working), "--to", ME, "--to", MY_NUMBER, "--rows", "2", "--send", "link"
    )
    _, listed, _ = working.run("campaign", "list", "--json")

    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("to ")] == [
        "to 1: the message of line 2 (e-mail, de): accepted",
        "to 1: the message of line 3 (e-mail, fr): accepted",
        "to 2: the message of line 4 (SMS, es): accepted",
    ]
    assert json.loads(listed) == {"campaigns": []}
    assert {one["recipient"] for one in stack.simulator.control.outbox()} == {ME, MY_NUMBER}
    assert "canary" not in out + err
    assert ME not in out + err


def test_send_offers_a_test_before_it_asks(working: Terminal, stack: Stack) -> None:
    """On a terminal: t asks for an address, sends, and asks again; no is still an answer."""
    keyboard, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gatepost_operations.cli", "campaign", "send", people(working)],
        cwd=working.directory,
        env=working.environment,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(keyboard, f"t\nnobody\nt\n{ME}\nn\n".encode())
    _, err = process.communicate(timeout=120)
    os.close(keyboard)
    os.close(terminal)
    _, listed, _ = working.run("campaign", "list", "--json")

    assert process.returncode == 5
    assert err.count("Send to 3 recipients? (t sends a test to yourself first) [y/t/N]") == 3
    assert "gatepost: to 1: " in err
    assert "to 1: the message of line 2 (e-mail, de): accepted" in err
    assert json.loads(listed) == {"campaigns": []}
    assert [one["recipient"] for one in stack.simulator.control.outbox()] == [ME]
