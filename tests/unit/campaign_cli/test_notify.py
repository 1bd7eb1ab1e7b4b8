"""The command that tells an operator about a campaign's end: no shell, and no effect on the watching."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import InvalidCommand
from gatepost_core.campaigns.model import Pause, PauseReason, Status
from gatepost_operations.cli.campaign.notify import Notifier, notifier_of
from gatepost_operations.cli.exit_codes import ExitCode
from support.campaign_views import CAMPAIGN_ID, campaign_with

if TYPE_CHECKING:
    from pathlib import Path

FINISHED = campaign_with(Status.FINISHED, accepted=18, rejected=1, unknown=1, name="spring $(touch pwned) `x`")
WRITE = (
    "import json, os, sys; print('noise'); json.dump([sys.argv[2:], "
    "{name: value for name, value in os.environ.items() if name.startswith('CAMPAIGN_')}], open(sys.argv[1], 'w'))"
)


def test_the_command_gets_the_outcome_in_its_environment(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words are split as in a shell, nothing is expanded, and its output leaves standard output to JSON."""
    monkeypatch.chdir(tmp_path)
    told = tmp_path / "told.json"
    Notifier(f'{sys.executable} -c "{WRITE}" {told} "two words" $HOME *').tell(FINISHED, ExitCode.NOT_ACCEPTED)
    arguments, variables = json.loads(told.read_text(encoding="utf-8"))
    out, err = capfd.readouterr()

    assert arguments == ["two words", "$HOME", "*"]
    assert variables == {
        "CAMPAIGN_ID": CAMPAIGN_ID,
        "CAMPAIGN_NAME": "spring $(touch pwned) `x`",
        "CAMPAIGN_OUTCOME": "finished",
        "CAMPAIGN_REASON": "",
        "CAMPAIGN_EXIT_CODE": "3",
        "CAMPAIGN_TOTAL": "20",
        "CAMPAIGN_ACCEPTED": "18",
        "CAMPAIGN_FAILED": "1",
        "CAMPAIGN_UNKNOWN": "1",
        "CAMPAIGN_MESSAGE": "spring $(touch pwned) `x`: finished, 18 accepted, 1 failed, 1 unknown of 20",
    }
    assert (out, err) == ("", "noise\n")
    assert not (tmp_path / "pwned").exists()


def test_a_pause_by_itself_has_its_reason(tmp_path: Path) -> None:
    """The operator knows from the message that something is to be done."""
    told = tmp_path / "told.json"
    paused = campaign_with(Status.PAUSED, queued=3, pause=Pause(PauseReason.ERROR_SHARE))
    Notifier(f'{sys.executable} -c "{WRITE}" {told}').tell(paused, ExitCode.REFUSED)
    _, variables = json.loads(told.read_text(encoding="utf-8"))

    assert (variables["CAMPAIGN_OUTCOME"], variables["CAMPAIGN_REASON"]) == ("paused", "error_share")


@pytest.mark.parametrize(
    ("command", "longest_s", "says"),
    [
        ("sh -c 'exit 7'", 120, "the notification command ended with exit code 7."),
        ("sleep 600", 0.2, "did not end within 0.2 s; it was stopped."),
        ("sh -c 'sleep 600 & sleep 600'", 0.2, "did not end within 0.2 s; it was stopped."),
    ],
)
def test_a_command_that_fails_or_hangs_is_reported_and_no_more(
    command: str, longest_s: float, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The watching ends as without it."""
    Notifier(command, longest_s=longest_s).tell(FINISHED, ExitCode.DONE)

    assert says in capfd.readouterr().err


def test_a_program_that_went_away_is_reported(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It was there when the campaign began."""
    program = tmp_path / "tell"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o700)
    notifier = Notifier(str(program))
    program.unlink()
    notifier.tell(FINISHED, ExitCode.DONE)

    assert "the notification command did not start: No such file or directory." in capfd.readouterr().err


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("tell 'me", "notify: cannot be read as a command"),
        ("  ", "notify: is empty"),
        ("no-such-program-here --loud", "notify: names no program on the PATH: no-such-program-here"),
    ],
)
def test_a_command_that_cannot_run_is_refused_before_anything_is_sent(command: str, says: str) -> None:
    """Not after three hours of sending."""
    with pytest.raises(InvalidCommand, match=says):
        Notifier(command)


def test_a_command_needs_watching() -> None:
    """Without it, the end would be missed."""
    with pytest.raises(InvalidCommand, match="add --watch"):
        notifier_of("true", watch=False)


@pytest.mark.parametrize(("term", "written"), [("xterm", "\a"), ("dumb", "")])
def test_the_bell_rings_on_terminals_alone(term: str, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dumb terminal gets no control codes."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", term)
    Notifier(None).tell(FINISHED, ExitCode.DONE)

    assert terminal.getvalue() == written
