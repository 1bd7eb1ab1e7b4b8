"""The pages of the command line repeat every command's own help, word for word, and each help once."""

from __future__ import annotations

import re

import pytest

from gatepost_operations.cli.exit_codes import ExitCode
from support.command_line_pages import COLUMNS, ELSEWHERE, OVERVIEW, PAGES, commands, helps_on, printed_help

SHOWN = [(command, text, page) for page in PAGES for command, text in helps_on(page)]


@pytest.mark.parametrize("command", commands())
def test_one_page_shows_the_help(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that says something else than the program misleads; `command_line_pages` renews it."""
    monkeypatch.setenv("COLUMNS", COLUMNS)

    assert [text for name, text, _ in SHOWN if name == command] == [printed_help(command)]


def test_no_page_shows_a_command_that_does_not_exist() -> None:
    """A heading of a command has the help of a command below it."""
    headings = [
        heading
        for page in PAGES
        for heading in re.findall(r"^#+ (gatepost.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]

    assert sorted(headings) == sorted(commands())


def test_the_overview_leads_to_the_page_of_each_command() -> None:
    """Its table lists each command once, or each verb of a command that has several pages."""
    rows = re.findall(
        r"^\| (`.+`) \| \[[^]]+\]\(([\w/-]+\.md)[^)]*\) \|$", OVERVIEW.read_text(encoding="utf-8"), re.MULTILINE
    )
    listed = [
        (f"gatepost {name}", OVERVIEW.parent / page) for names, page in rows for name in names[1:-1].split("`, `")
    ]
    names = [name for name, _ in listed]
    on_own_page = {
        command: page for command, _, page in SHOWN if not any(name.startswith(f"{command} ") for name in names)
    }

    assert len(names) == len(set(names))
    assert set(names) <= {*commands(), *ELSEWHERE}
    assert {
        command: [page for name, page in listed if f"{command} ".startswith(f"{name} ")] for command in on_own_page
    } == {command: [page] for command, page in on_own_page.items()}


def test_the_overview_explains_every_exit_code() -> None:
    """A script's author finds them in one table."""
    text = OVERVIEW.read_text(encoding="utf-8")

    assert [code for code in ExitCode if f"| {code.value} |" not in text] == []
