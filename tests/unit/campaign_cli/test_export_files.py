"""Outcomes as files: complete, private, and readable again as recipients."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from gatepost.campaigns.report import RecipientReport
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.files.export import ExportFormat, write_outcomes
from gatepost_operations.files.rows import read_rows
from gatepost_operations.files.text_reader import FileError
from support.campaign_views import NOW
from support.hostile_texts import steering

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = (
    Row(0, Channel.EMAIL, "ana@example.com", "pt-BR", "192.0.2.7", '{"scope":"openid"}'),
    Row(0, Channel.SMS, "+447700900123"),
    Row(0, Channel.EMAIL, "-=odd@example.com", "de"),
)
REPORTS = [
    RecipientReport(ROWS[0], State.ACCEPTED, attempts=1),
    RecipientReport(ROWS[1], State.REJECTED, Reason.RECIPIENT_REJECTED, 400, 1, NOW),
    RecipientReport(ROWS[2], State.UNKNOWN, Reason.ANSWER_LOST, None, 2, NOW),
]


@pytest.mark.parametrize("how", ExportFormat)
def test_an_export_is_read_again_as_it_was(tmp_path: Path, how: ExportFormat) -> None:
    """Phone numbers survive the guard against formulas; language, IP and authParams come back."""
    file = tmp_path / f"out.{how}"

    assert write_outcomes(iter(REPORTS), file, how) == 3
    read = [row for row in read_rows(file) if isinstance(row, Row)]
    assert [(row.kind, row.recipient, row.language, row.client_ip, row.auth_params) for row in read] == [
        (row.kind, row.recipient, row.language, row.client_ip, row.auth_params) for row in ROWS
    ]


def test_a_spreadsheet_takes_no_cell_for_a_formula(tmp_path: Path) -> None:
    """A leading apostrophe before = + - @ and control characters."""
    file = tmp_path / "out.csv"
    write_outcomes(iter(REPORTS), file, ExportFormat.CSV)
    text = file.read_text(encoding="utf-8-sig")

    assert ",'+447700900123," in text
    assert "\n'-=odd@example.com," in text


def test_a_csv_has_every_field_of_an_outcome() -> None:
    """A field that is added to `RecipientReport` is a column at once; the order is the one that programs know."""
    stream = io.StringIO()
    write_outcomes(iter(REPORTS), stream, ExportFormat.CSV)
    header, *lines = csv.reader(stream.getvalue().splitlines())
    cells = [{name for name, cell in zip(header, line, strict=True) if cell} for line in lines]

    assert header == [
        *("email", "phone_number", "language", "client_ip", "auth_params"),
        *("state", "reason", "http_status", "attempts", "at"),
    ]
    assert cells == [report.as_json().keys() for report in REPORTS]


def test_an_export_names_state_and_reason() -> None:
    """For every recipient exactly one state; times and statuses where there are any."""
    stream = io.StringIO()
    write_outcomes(iter(REPORTS), stream, ExportFormat.NDJSON)
    documents = [json.loads(line) for line in stream.getvalue().splitlines()]

    assert [one["state"] for one in documents] == ["accepted", "rejected", "unknown"]
    assert documents[1]["reason"] == "recipient_rejected"
    assert documents[1]["http_status"] == 400


def test_an_export_is_private(tmp_path: Path) -> None:
    """Only its owner may read it."""
    file = tmp_path / "out.ndjson"
    write_outcomes(iter(REPORTS), file, ExportFormat.NDJSON)

    assert file.stat().st_mode & 0o777 == 0o600


def test_an_export_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    """A file that is there is complete."""

    def broken() -> Iterator[RecipientReport]:
        yield REPORTS[0]
        raise RuntimeError("Redis went away")

    with pytest.raises(RuntimeError):
        write_outcomes(broken(), tmp_path / "out.ndjson", ExportFormat.NDJSON)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The file's name, and why."""
    with pytest.raises(FileError, match=r"out\.csv cannot be written"):
        write_outcomes(iter(REPORTS), tmp_path / "nowhere" / "out.csv", ExportFormat.CSV)


@pytest.mark.parametrize("how", ExportFormat)
def test_an_export_steers_no_terminal(how: ExportFormat) -> None:
    """It goes to standard output too; authParams that hold anything are the same when they are read again."""
    params = {"state": "\x9b2J\u202e\x1b]0;x"}
    row = Row(0, Channel.EMAIL, "ana@example.com", auth_params=json.dumps(params))
    stream = io.StringIO()
    write_outcomes(iter([RecipientReport(row, State.ACCEPTED)]), stream, how)
    text = stream.getvalue()
    again = next(iter(read_rows(io.BytesIO(text.encode()))))

    assert not steering(text.replace("\n", "").replace("\r", ""))
    assert isinstance(again, Row)
    assert json.loads(again.auth_params or "") == params
