"""docs/reference/command-line.md repeats every command's own help, word for word."""

from __future__ import annotations

import re

import pytest

from gatepost_operations.cli.command_table import TABLE
from gatepost_operations.cli.entry import load, main
from gatepost_operations.cli.exit_codes import ExitCode
from support.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "command-line.md"
HELP = dict(
    re.findall(
        r"^## (gatepost[^\n]*)\n\n```text\n(.*?)\n```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
)
# Its options are another program's.
ELSEWHERE = {"gatepost simulator"}


def commands() -> list[str]:
    """Every command and verb, as it is typed."""
    found = ["gatepost"]
    for entry in TABLE:
        verbs = getattr(load(entry), "commands", {})
        found += [f"gatepost {entry.name}", *(f"gatepost {entry.name} {verb}" for verb in verbs)]
    return [command for command in found if command not in ELSEWHERE]


@pytest.mark.parametrize("command", commands())
def test_the_page_shows_the_help(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that says something else than the program misleads; renew it with COLUMNS=100 and the command's --help."""
    monkeypatch.setenv("COLUMNS", "100")
    main([*command.split()[1:], "--help"])
    shown = "\n".join(line.rstrip() for line in capsys.readouterr().out.rstrip().splitlines())

    assert HELP.get(command) == shown


def test_the_page_explains_every_exit_code() -> None:
    """A script's author finds them in one table."""
    text = PAGE.read_text(encoding="utf-8")

    assert [code for code in ExitCode if f"| {code.value} |" not in text] == []
