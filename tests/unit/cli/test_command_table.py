"""The table of commands, and the help that is made from it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from typer import Context

from gatepost_operations.cli.command_table import TABLE, Entry
from gatepost_operations.cli.entry import load, main

HEAVY = ("celery", "kombu", "pydantic", "redis", "rich", "joserfc", "structlog", "requests")


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_every_row_leads_to_a_command_that_says_the_same(entry: Entry) -> None:
    """The summary in the table is the first line of the command's own help."""
    command: Any = load(entry)

    assert command.name == entry.name
    assert " ".join(command.help.split("\n\n")[0].split()) == entry.summary


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_every_command_shows_an_example(entry: Entry) -> None:
    """Every help text shows an example."""
    command: Any = load(entry)
    verbs = getattr(command, "commands", {}).values()

    for one in [command, *verbs]:
        help_text = one.get_help(Context(one, info_name=one.name))
        assert "Example" in help_text
        assert f"gatepost {entry.name}" in help_text


def test_names_are_unique() -> None:
    """Two rows of one name would hide each other."""
    names = [entry.name for entry in TABLE]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--show-completion"]], ids=lambda a: a[0])
def test_the_start_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help, version and completion come at once: no Celery, pydantic, Redis client or Rich is loaded."""
    program = (
        "import sys; from gatepost_operations.cli.entry import main; code = main(sys.argv[1:]);"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]; sys.exit(str(loaded) if loaded else code)"
    )
    # Typer offers completion for the shell that it was started from.
    command = ["bash", "-c", '"$@"; exit $?', "bash", sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"SHELL": "bash"})

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`gatepost --help` names each with its summary."""
    assert main(["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())

    assert all(f"{entry.name} {entry.summary}" in shown for entry in TABLE)


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_help_shows_no_name_of_a_python_type(entry: Entry) -> None:
    """An option shows what to type, such as PORT, and not how it is parsed."""
    command: Any = load(entry)

    for one in [command, *getattr(command, "commands", {}).values()]:
        assert " range>" not in one.get_help(Context(one, info_name=one.name))


@pytest.mark.parametrize("name", ["doctor", "quota"])
def test_a_command_for_all_tenants_says_that(name: str) -> None:
    """Without --tenant it looks at every configured tenant, not at the first."""
    command: Any = next(load(entry) for entry in TABLE if entry.name == name)

    assert [param.help for param in command.params if "--tenant" in param.opts] == [
        "Only this configured tenant [default: all]."
    ]
