"""Every help text fits a terminal of 80 columns, and names values as people do: TEXT, N, FILE."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from gatepost_operations.cli.command_table import TABLE
from gatepost_operations.cli.entry import load, main

# Its options are another program's.
SIMULATOR = "simulator"


def commands() -> list[str]:
    """Every command and verb, as it is typed."""
    found = [""]
    for entry in TABLE:
        verbs = getattr(load(entry), "commands", {})
        found += [entry.name, *(f"{entry.name} {verb}" for verb in verbs)]
    return [command for command in found if command != SIMULATOR]


def faults_of(text: str) -> list[str]:
    """Return the lines that are too wide or show a type of Python."""
    return [line for line in text.splitlines() if len(line) > 80 or re.search(r"[<{]\w+( range)?[>}]|<=x", line)]


@pytest.mark.parametrize("command", commands())
def test_help_fits_and_shows_no_type_of_python(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line wraps, an argument is its name, and a choice lists its values."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out

    assert faults_of(shown) == []
    assert shown.startswith(f"Usage: gatepost {command}".rstrip())


def test_the_simulators_help_has_the_same_style() -> None:
    """No frames, no types of Python, the name that is typed, and examples."""
    done = subprocess.run(
        [sys.executable, "-m", "gatepost_operations.cli", SIMULATOR, "--help"],
        env={"COLUMNS": "80", "TERM": "xterm"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert faults_of(done.stdout.replace("0<=x<=65535", "")) == []
    assert done.stdout.startswith("Usage: gatepost simulator [OPTIONS]\n")
    assert "--config FILE " in done.stdout
    assert "Examples:" in done.stdout
    assert "─" not in done.stdout
