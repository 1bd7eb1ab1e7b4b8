"""Excel workbooks as people have them in hand: what a cell holds is read exactly, or refused."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from gatepost_core.campaigns.row import Row
from gatepost_operations.cli.entry import main
from gatepost_operations.files.check import check_file
from gatepost_operations.files.rows import FileError, RowError, read_rows
from support.recipient_files import one_error, recipients_of, rows_of

if TYPE_CHECKING:
    from pathlib import Path


def workbook(*rows: list[Any], **others: list[list[Any]]) -> bytes:
    """A workbook with these rows in its first sheet, and other sheets by name."""
    book = openpyxl.Workbook()
    first = book.worksheets[0]
    first.title = "People"
    for row in rows:
        first.append(row)
    for name, content in others.items():
        sheet = book.create_sheet(name)
        for row in content:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_the_first_sheet_is_read() -> None:
    """With its header row, blank rows and cells, and languages."""
    content = workbook(
        ["E-Mail-Adresse", "Sprache", "Kommentar"],
        ["Ana@Example.com", "de", "line 1\nbob@example.com, hello"],
        [],
        [None, None, None],
        ["bob@example.com"],
        Archive=[["email"], ["old@example.com"]],
    )

    rows = rows_of(content)

    assert [(row.line, row.recipient, row.language) for row in rows if isinstance(row, Row)] == [
        (2, "ana@example.com", "de"),
        (5, "bob@example.com", None),
    ]


def test_another_sheet_is_read_on_request() -> None:
    """By its name; a name that does not exist is an error."""
    content = workbook(["email"], ["a@example.com"], Archive=[["email"], ["old@example.com"]])

    assert recipients_of(content, sheet="Archive") == ["old@example.com"]
    with pytest.raises(FileError, match="has no sheet of that name; it has 2"):
        rows_of(content, sheet="archive 2")
    with pytest.raises(FileError, match="not an Excel workbook"):
        rows_of("email\na@example.com\n", sheet="Archive")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (4915123456789, "+4915123456789"),
        (4915123456789.0, "+4915123456789"),
        (1713920006, "+491713920006"),
        ("+49 171 3920006", "+491713920006"),
        ("'+491713920006", "+491713920006"),
        ("01713920006", "+491713920006"),
        (15123456789, "has two readings"),
        ("4.91512E+12", "was changed by a spreadsheet"),
        (4.9151e20, "contains letters or words"),
        (49151.5, "is not a phone number"),
        (datetime(2026, 11, 29, tzinfo=UTC).replace(tzinfo=None), "contains letters or words"),
        (True, "contains letters or words"),
        ("#N/A", "contains letters or words"),
    ],
)
def test_a_cell_with_a_number_is_read_exactly_or_refused(cell: Any, expected: str) -> None:
    """A whole number is its digits; what a spreadsheet has changed is not guessed."""
    [row] = rows_of(workbook(["Mobil"], [cell]), default_region="DE")

    if expected.startswith("+"):
        assert isinstance(row, Row), row
        assert row.recipient == expected
    else:
        assert isinstance(row, RowError)


def test_the_rules_for_columns_are_those_of_csv() -> None:
    """Unclear columns are refused, and `--column` settles them."""
    content = workbook(["Email", "Name", "Email"], ["a@example.com", "Ana", "b@example.com"])

    with pytest.raises(FileError, match="--column email=#1"):
        rows_of(content)
    assert recipients_of(content, columns={"email": "#3"}) == ["b@example.com"]
    assert one_error(workbook(["email"], ["a@example.com", "x"])).problem == "has more columns than the header row"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (workbook(), "is empty"),
        (workbook(["name"], ["Ana"]), "has no column of recipients"),
        (workbook(["email"], ["a@example.com"])[:-60], "export it as CSV"),
        (b"PK\x03\x04" + bytes(100), "a spreadsheet or ZIP archive"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "a spreadsheet"),
    ],
)
def test_a_workbook_that_cannot_be_used_says_why(content: bytes, problem: str) -> None:
    """In one sentence."""
    with pytest.raises(FileError, match=problem):
        rows_of(content)


def test_a_workbook_that_unpacks_to_too_much_is_refused() -> None:
    """Before it is unpacked."""
    bomb = io.BytesIO(workbook(["email"], ["a@example.com"]))
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image1.png", b"\0" * 50_000_000)

    with pytest.raises(FileError, match="unpacks to more than 400 times"):
        rows_of(bomb.getvalue())


def test_a_check_of_a_workbook_writes_its_invalid_rows_as_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They can be corrected in the spreadsheet and read again."""
    path, rejects = tmp_path / "people.xlsx", tmp_path / "people.rejects.csv"
    path.write_bytes(workbook(["email", "note"], ["a@example.com", "x"], ["bad", "y"]))

    code = main(["campaign", "check", str(path)])

    assert code == 6
    assert "people.xlsx (Excel workbook)" in capsys.readouterr().out
    rejects.write_text(rejects.read_text(encoding="utf-8-sig").replace("bad", "b@example.com"), encoding="utf-8")
    with read_rows(rejects) as rows:
        assert [row.recipient for row in rows if isinstance(row, Row)] == ["b@example.com"]
    assert check_file(path, rejects=tmp_path / "other.jsonl").invalid == 1


def test_a_stream_that_can_only_be_read_is_no_workbook() -> None:
    """It is read as text, as before."""

    class OnlyRead:
        def __init__(self, content: bytes) -> None:
            self.read = io.BytesIO(content).read

    stream: Any = OnlyRead(b"email\na@example.com\n")
    with read_rows(stream) as rows:
        assert [row.recipient for row in rows if isinstance(row, Row)] == ["a@example.com"]
