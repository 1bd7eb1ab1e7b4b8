"""Untrusted text is shown with control characters escaped, and without effect as markup."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from gatepost_core.safe_text import visible, visible_json
from gatepost_operations.cli.campaign.progress import campaign_display
from gatepost_operations.cli.campaign.recipient_file import FileOptions, open_recipient_file
from gatepost_operations.cli.connection import log_to_stderr
from gatepost_operations.cli.doctor.checks import Check, Status
from gatepost_operations.cli.doctor.command import _show as show_checks
from gatepost_operations.cli.entry import main
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.cli.terminal import console
from support.campaign_views import campaign_with, view_of
from support.hostile_texts import HOSTILE, steering

if TYPE_CHECKING:
    from collections.abc import Callable

import structlog

pytestmark = pytest.mark.usefixtures("empty_directory")


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return standard error as a wide terminal."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    return stream


def without_richs_own(text: str) -> str:
    """Take out how a bar is drawn: colours and the cursor's ways (CSI), line ends. No text's own escape begins with ESC and [."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]", "", text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("one\ntwo\r\tthree", r"one\ntwo\r\tthree"),
        ("exe\u202egnp", r"exe\u202egnp"),
        ("a\u2028b\ufeff", r"a\u2028b\ufeff"),
        ("caf\udce9", r"caf\udce9"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_hidden_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    """Nothing is dropped, so that two texts never look the same."""
    assert visible(text) == shown


@pytest.mark.parametrize("text", ["Frühling · ¿qué? 春", "Prix\xa0: 5\u202f€", "👩\u200d🔬", "a\u200cb", r"[/x] \x1b"])
def test_what_people_write_is_left_alone(text: str) -> None:
    """Every script, and emoji."""
    assert visible(text) == text


@given(st.text())
def test_a_visible_text_steers_nothing(text: str) -> None:
    """Whatever it was."""
    shown = visible(text)

    assert not steering(shown)
    assert visible(shown) == shown
    assert shown.encode().decode() == shown


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_json_keeps_its_values_and_steers_nothing(document: dict[str, Any]) -> None:
    """A program reads the exact values."""
    text = visible_json(document)

    assert json.loads(text) == document
    assert not steering(text)


@pytest.mark.parametrize("put", [write, say, lambda text: write_json({"text": text})])
def test_a_line_is_one_line_whatever_is_in_it(put: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    """Untrusted text cannot begin a new line."""
    put(HOSTILE)
    seen = capsys.readouterr()

    assert (seen.out + seen.err).count("\n") == 1
    assert not steering((seen.out + seen.err).rstrip("\n"))


def test_a_table_shows_texts_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """No markup, no emoji's name, no line of a text's own; the columns still fit."""
    table = Table(box=None, pad_edge=False)
    table.add_column("who", overflow="fold")
    table.add_column("what")
    table.add_row(HOSTILE, ":smile:")
    table.add_row("ines", "[bold]exported[/bold]")
    console().print(table)
    console().print("[/x]\n")
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[-1] for line in lines] == ["what", ":smile:", "[bold]exported[/bold]", r"[/x]\n"]
    assert len({line.rindex(word) for line, word in zip(lines, ("what", ":smile:", "[bold]"), strict=False)}) == 1
    assert not steering("".join(lines))


def test_a_bar_shows_a_campaigns_name_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its markup nor its control characters take effect."""
    stream = terminal(monkeypatch)
    with campaign_display(as_json=False, every_s=1) as bar:
        bar.show(view_of(campaign_with(queued=1, name=HOSTILE), failure=HOSTILE, lost_for_s=3.0))

    assert stream.getvalue().count(r"[/x] \x1b]0;spoofed\x07") > 1
    assert not steering(without_richs_own(stream.getvalue()))


def test_a_bar_shows_a_files_name_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is called as its sender likes."""
    stream = terminal(monkeypatch)
    name = HOSTILE.replace("/", "")
    Path(name).write_text("email\nana@example.com\n")
    with open_recipient_file(name, FileOptions()) as file:
        file.check()

    assert r"checking [x] \x1b]0;spoofed\x07" in stream.getvalue()
    assert not steering(without_richs_own(stream.getvalue()))


def test_a_files_name_and_columns_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """In the report, and in the sentence that refuses the file."""
    name = HOSTILE.replace("/", "") + ".csv"
    Path(name).write_text(f'email,"{HOSTILE}"\nana@example.com,x\nnobody,x\n')
    checked, missing = main(["campaign", "check", name]), main(["campaign", "check", f"{name}.gz"])
    seen = capsys.readouterr()

    assert (checked, missing) == (6, 6)
    assert r"\x1b]0;spoofed\x07" in seen.out
    assert not steering((seen.out + seen.err).replace("\n", ""))


def test_the_doctor_shows_findings_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Key ids and a probe's text are untrusted; the advice is below the finding."""
    show_checks([Check("keys in use", Status.FAILED, HOSTILE, "Put it back.")])
    lines = capsys.readouterr().out.splitlines()

    assert "[/x]" in lines[0]
    assert lines[1].strip() == "Put it back."
    assert not steering("".join(lines))


def test_a_log_line_shows_texts_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """The library's warnings go to the same terminal."""
    log_to_stderr()
    structlog.get_logger().warning("audit.end_not_recorded", action="\x1b]0;spoofed\x07[/x]")
    err = capsys.readouterr().err

    assert err.count("\n") == 1
    assert not steering(err.rstrip("\n"))


def test_a_traceback_shows_texts_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--debug keeps the lines of a traceback, and nothing else that steers."""
    monkeypatch.setenv("GATEPOST_FINGERPRINT_KEY_FILE", "/\x1b]0;spoofed\x07")
    code = main(["--debug", "send-email", "ana@example.com"])
    err = capsys.readouterr().err

    assert code == 4
    assert "Traceback" in err.splitlines()[0]
    assert not steering(err.replace("\n", ""))
