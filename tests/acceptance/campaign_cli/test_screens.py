"""The screens that an operator sees while a worker is killed and Redis stops, at both widths and on a dumb terminal."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from support.campaign_screens import text_of, worker_gone
from support.terminals import Terminals, require_tmux

if TYPE_CHECKING:
    from support.campaign_terminal import Terminal as Shell
    from support.stack import Stack

pytestmark = pytest.mark.slow
GATEPOST = [sys.executable, "-m", "gatepost_operations.cli"]
PEOPLE = 3_000


def labels(screen: list[str]) -> list[str]:
    """Return the words that the lines of a screen begin with."""
    return [line.split()[0] for line in screen if re.match("[a-z]+ ", line)]


def test_screens_tell_of_a_killed_worker_and_a_stopped_redis(stack: Stack, terminal: Shell) -> None:
    """Each tells the truth, fits its terminal, and goes on when Redis does; the documented one has the same lines. Ctrl-C leaves the campaign running."""
    require_tmux()
    stack.worker("gatepost.bulk")
    doomed = stack.worker("gatepost.bulk")
    file = terminal.people(*(f"person{number}@example.com" for number in range(PEOPLE)))
    send = [*GATEPOST, "campaign", "send", file, "--name", "spring", "--rate", "5", "--yes"]
    watch = [*GATEPOST, "campaign", "watch", "spring"]
    environment = {**terminal.environment, "TZ": "Europe/Berlin"}
    del environment["NO_COLOR"]
    # The terminal's size decides, and not a size that another test has left in the environment.
    environment.pop("COLUMNS", None)
    with Terminals(terminal.directory, environment) as terminals:
        narrow = terminals.open("narrow", 80, 24, send)
        sending = narrow.until("2 workers for campaigns")
        wide = terminals.open("wide", 140, 40, watch)
        dumb = terminals.open("dumb", 80, 24, watch, TERM="dumb")
        wide.until("2 workers for campaigns")
        dumb.until("5.0/s by its own rate")
        doomed.kill()
        gone = [one.until("one bulk worker gone") for one in (narrow, wide, dumb)]
        os.kill(stack.valkey.pid, signal.SIGSTOP)
        lost = [one.until("connection lost, last seen") for one in (narrow, wide, dumb)]
        wide.press("C-c")
        left = wide.until("exit code 130")
        os.kill(stack.valkey.pid, signal.SIGCONT)
        back = [one.until("connection back after") for one in (narrow, dumb)]
        narrow.until(r"sending\n(.*\n)*finish   \w+ \d\d:\d\d CES?T, in ")

    assert all(len(line) <= 80 for screen in (sending, gone[0], lost[0], back[0]) for line in screen)
    assert any(line.startswith("spring") and line.endswith("sending") for line in sending)
    assert any(len(line) == 140 for line in gone[1])
    assert labels(gone[1]) == labels(text_of(worker_gone()).splitlines())
    assert "1 worker for campaigns" in "\n".join(gone[0])
    assert re.search(r"\d\d:\d\d  one bulk worker gone", "\n".join(gone[0]))
    assert any(re.fullmatch(r"\d\d:\d\d one bulk worker gone", line) for line in gone[2])
    assert all("GATEPOST_REDIS_URL" in "\n".join(screen) for screen in lost[:2])
    assert "the campaign continues (running, last seen" in "\n".join(left)
    assert any("gatepost campaign watch spring" in line for line in left)
    assert not any("gone" in line and "bulk workers" in line for line in back[0])
