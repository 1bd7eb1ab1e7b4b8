"""An error of the command line ends in a sentence: an error tracker sees nothing of it, nor does a traceback with locals."""

from __future__ import annotations

import sys

import pytest

from gatepost_operations.cli.entry import app, main
from gatepost_operations.cli.options import command_app
from support.error_tracker import tracking

NAME = "canary-q7x2v9"


@pytest.fixture(autouse=True)
def _configured(configured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH0_CLIENT_SECRET", f"{NAME}-secret")


@pytest.mark.parametrize(
    "arguments",
    [
        ["send-email", f"{NAME} at home"],
        ["send-email", f"{NAME}@example.com", "--tenant", "acme"],
        ["suppression", "add", NAME],
        ["campaign", "check", f"{NAME}.csv"],
        ["erase", NAME],
        ["no-such-command", NAME],
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("debug", [False, True], ids=["", "with --debug"])
def test_a_command_that_fails_shows_a_tracker_nothing(arguments: list[str], *, debug: bool) -> None:
    """Whatever it was given; also where a traceback is asked for."""
    with tracking() as events:
        hook = sys.excepthook
        code = main([*["--debug"] * debug, *arguments])

    assert code != 0
    assert events == []
    assert sys.excepthook is hook


def test_no_app_shows_locals() -> None:
    """Typer's own traceback would, through rich."""
    assert not any(one.pretty_exceptions_enable or one.pretty_exceptions_show_locals for one in (app, command_app()))
