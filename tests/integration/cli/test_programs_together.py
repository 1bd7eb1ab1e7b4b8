"""Programs that run together end together, and signals reach each of them once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# Says that it runs, then each signal; ends after it. One write a line, because two programs share the output.
WAITING = """
import os, signal, sys, time
def heard(number, frame):
    os.write(1, f"heard {int(number)}\\n".encode())
    time.sleep(0.2)
    sys.exit(0)
signal.signal(signal.SIGTERM, heard)
signal.signal(signal.SIGINT, heard)
os.write(1, b"runs\\n")
time.sleep(120)
"""
ENDING = "import sys; sys.exit(3)"
TOGETHER = """
import os, sys
from gatepost_operations.cli.together import run_together
sys.exit(run_together([([sys.executable, "-c", text], os.environ) for text in sys.argv[1:]]))
"""


def together(output: Path, *texts: str) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen([sys.executable, "-c", TOGETHER, *texts], stdout=file, env=dict(os.environ))


def until(output: Path, text: str, times: int) -> None:
    ends = time.monotonic() + 60
    while output.read_text(encoding="utf-8").count(text) < times:
        assert time.monotonic() < ends, output.read_text(encoding="utf-8")
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_each_program_once(tmp_path: Path, number: signal.Signals) -> None:
    """They finish their work, and the exit code is theirs."""
    output = tmp_path / "output"
    process = together(output, WAITING, WAITING)
    until(output, "runs", 2)

    process.send_signal(number)

    assert process.wait(60) == 0
    assert output.read_text(encoding="utf-8").count(f"heard {int(number)}") == 2
    assert output.read_text(encoding="utf-8").count("heard") == 2


def test_when_one_program_ends_the_others_are_asked_to_finish(tmp_path: Path) -> None:
    """A supervisor then sees the exit code of the first, and starts all again."""
    output = tmp_path / "output"
    wait_then_end = (
        f"import pathlib, time\nwhile 'runs' not in pathlib.Path({str(output)!r}).read_text(): time.sleep(0.02)\n"
    )

    process = together(output, WAITING, wait_then_end + ENDING)

    assert process.wait(60) == 3
    assert output.read_text(encoding="utf-8").count(f"heard {int(signal.SIGTERM)}") == 1
