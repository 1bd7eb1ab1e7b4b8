"""Printed commands repeat the options of the command that runs, quoted for a shell."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gatepost_core.kinds import Channel
from gatepost_operations.cli.campaign.recipient_file import FileOptions
from gatepost_operations.cli.entry import main
from gatepost_operations.cli.given_command import arguments_of, note_command, same_command

pytestmark = pytest.mark.usefixtures("empty_directory")


def test_options_that_were_given_become_arguments() -> None:
    """Lists are repeated, flags stand alone, and defaults are left out."""
    options = FileOptions(
        channel=Channel.SMS, region="DE", column=["email=E Mail", "language=Sprache"], allow_landlines=True
    )

    assert arguments_of(options) == [
        *("--channel", "sms", "--region", "DE"),
        *("--column", "email=E Mail", "--column", "language=Sprache", "--allow-landlines"),
    ]
    assert arguments_of(FileOptions()) == []


def test_the_same_command_is_quoted() -> None:
    """A shell reads it back as it was given."""
    given = ["campaign", "add", "Spring 2026", "people's file.csv", "--skip-recent", "7d"]
    note_command(given)

    assert shlex.split(same_command()) == ["gatepost", *given]


def test_the_printed_check_reads_the_file_in_the_same_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder, with the channel, the column and the delimiter of the refused command: it finds the same invalid row."""
    monkeypatch.setenv("GATEPOST_FINGERPRINT_KEY", "a fingerprint key of the tests alone")
    monkeypatch.setenv("GATEPOST_SEALING_KEYS", "k:" + "A" * 43)
    Path("a folder").mkdir()
    Path("a folder/people.csv").write_text("Kontakt|x\nana@example.com|1\ncanary|2\n", encoding="utf-8")
    command = ["suppression", "import", "a folder/people.csv", "--column", "email=Kontakt", "--channel", "email"]
    assert main([*command, "--delimiter", "|"]) == 6
    said = capsys.readouterr().err
    printed = re.search(r"see all: gatepost (campaign check .*?); correct them", " ".join(said.split()))

    assert printed is not None
    assert main(shlex.split(printed[1])) == 6
    assert "2: 1 valid, 1 invalid" in capsys.readouterr().out
