"""Tests for opening a file: where it comes from, how it is packed, encoded and written."""

from __future__ import annotations

import csv
import gzip
import io
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_operations.files.rows import FileError, FileFormat, RowError, read_rows
from gatepost_operations.files.text_reader import LONGEST_LINE
from support.recipient_files import one_row, reader_of, recipients_of, rows_of

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = "email,language\nñandú@example.com,es\nguest@example.com,en\n"
BOTH = ["ñandú@example.com", "guest@example.com"]


def test_path_is_read_and_closed(tmp_path: Path) -> None:
    """A file is closed at its end, and tells how far reading is."""
    path = tmp_path / "people.csv"
    path.write_text(PLAIN, encoding="utf-8")
    reader = read_rows(path)

    rows = list(reader)

    assert [type(row) for row in rows] == [Row, Row]
    assert reader.bytes_read == reader.bytes_total == path.stat().st_size
    assert reader.name == str(path)


def test_reader_closes_its_file_when_it_is_left_early(tmp_path: Path) -> None:
    """A reader is a context manager, so that an abandoned file does not stay open."""
    path = tmp_path / "people.csv"
    path.write_text(PLAIN * 20_000, encoding="utf-8")

    with read_rows(path) as reader:
        first = next(reader)

    assert isinstance(first, Row)
    with pytest.raises(FileError, match="cannot be read"):
        list(reader)


def test_standard_input_is_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe is read as it comes, in pieces of any size."""
    incoming, outgoing = os.pipe()

    def write() -> None:
        for byte in PLAIN.encode():
            os.write(outgoing, bytes([byte]))
        os.close(outgoing)

    writer = threading.Thread(target=write)
    with os.fdopen(incoming, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        writer.start()
        reader = read_rows("-")
        rows = [row.recipient for row in reader if isinstance(row, Row)]
        writer.join()

        assert rows == BOTH
        assert (reader.name, reader.bytes_total) == ("standard input", None)
        assert not pipe.closed


def test_named_pipe_is_read_and_has_no_size(tmp_path: Path) -> None:
    """A shell's `<(…)` works like a file, and no bar is drawn against nothing."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(PLAIN, "utf-8"))
    writer.start()

    with read_rows(path) as reader:
        rows = list(reader)
    writer.join()

    assert [type(row) for row in rows] == [Row, Row]
    assert reader.bytes_total is None


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-32", "utf-32")],
)
def test_encoding_is_told_by_the_file(encoding: str, name: str) -> None:
    """UTF-8 needs no mark; the others are known by theirs."""
    reader = reader_of(PLAIN.encode(encoding))

    assert reader.encoding == name
    assert recipients_of(PLAIN.encode(encoding)) == BOTH


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-8"])
def test_named_encoding_takes_a_mark_or_none(encoding: str, mark: str) -> None:
    """The byte order mark never becomes a part of the first column's name."""
    assert recipients_of((mark + PLAIN).encode(encoding), encoding=encoding) == BOTH


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "windows-1252"])
def test_other_encodings_are_read_when_they_are_named(encoding: str) -> None:
    """Files from older systems need one option."""
    assert recipients_of(PLAIN.encode(encoding), encoding=encoding) == BOTH


@pytest.mark.parametrize(
    ("content", "hint"),
    [(PLAIN.encode("cp1252"), "--encoding cp1252"), (PLAIN.encode("utf-16-le"), "--encoding utf-16-le")],
)
def test_encoding_that_cannot_be_told_is_asked_for(content: bytes, hint: str) -> None:
    """The message says which option to give."""
    with pytest.raises(FileError, match=hint):
        reader_of(content)


@pytest.mark.parametrize("encoding", ["no-such", "rot13", "base64", "idna", "punycode", "undefined", "utf-7", "\0"])
def test_unknown_encoding_is_refused(encoding: str) -> None:
    """Codecs that are not encodings of text files are not either."""
    with pytest.raises(FileError, match="the encoding is not known"):
        reader_of(PLAIN, encoding=encoding)


def test_broken_bytes_cost_their_row_alone() -> None:
    """One row damaged on the way does not make the file unreadable."""
    content = PLAIN.encode() + "Zoë@example.com,".encode() + b"\xff\ngu\xe9st@example.com,fr\nlast@example.com,fr\n"

    rows = rows_of(content)

    assert [type(row) for row in rows] == [Row, Row, RowError, RowError, Row]
    assert all("could not be decoded" in row.problem for row in rows if isinstance(row, RowError))


def test_broken_bytes_in_an_ignored_column_cost_nothing() -> None:
    """Only columns in use must be readable."""
    content = b"email,note\n" + b"guest@example.com,x\n" * 6_000 + b"last@example.com,caf\xe9\n"

    assert recipients_of(content)[-1] == "last@example.com"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n \r\n\n", "is empty"),
        (b"sep=;\n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"PK\x03\x04rest", "a spreadsheet or ZIP archive"),
        (b"\xd0\xcf\x11\xe0rest", "a spreadsheet"),
        (b"%PDF-1.7", "a PDF"),
        (bytes(range(256)) * 10, "is not UTF-8"),
        (b"\0" * 100, "is binary"),
        (b'[{"email": "guest@example.com"}]', "a JSON array"),
        (b'  [\n  {"email": "guest@example.com"}]', "a JSON array"),
        (b'"email\nguest@example.com\n', "line 1 opens a quotation mark"),
        (b"x" * (LONGEST_LINE + 1), "too long"),
    ],
)
def test_what_is_no_list_of_recipients_says_so(content: bytes, problem: str) -> None:
    """The whole file is refused with one sentence."""
    with pytest.raises(FileError, match=problem):
        reader_of(content)


@pytest.mark.parametrize(
    ("name", "problem"), [("none.csv", "No such file"), ("", "Is a directory"), ("a\0b", "not a path")]
)
def test_what_cannot_be_opened_says_why(tmp_path: Path, name: str, problem: str) -> None:
    """The system's reason is passed on."""
    with pytest.raises(FileError, match=problem):
        read_rows(f"{tmp_path}/{name}")


def test_gzip_is_known_by_its_first_bytes() -> None:
    """The name does not matter, and several members are one file."""
    middle = len(PLAIN) // 2

    assert recipients_of(gzip.compress(PLAIN.encode())) == BOTH
    assert recipients_of(gzip.compress(PLAIN[:middle].encode()) + gzip.compress(PLAIN[middle:].encode())) == BOTH


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-9], lambda packed: packed[:-30] + bytes(30), lambda packed: packed + b"x"]
)
def test_damaged_gzip_is_an_error_of_the_file(damage: object) -> None:
    """Rows come out until the damage, then the file as a whole is refused: a part of a list is not the list."""
    assert callable(damage)
    content = "email\n" + "".join(f"guest-{number * 7919 % 100_003}@example.com\n" for number in range(50_000))

    with pytest.raises(FileError, match="is damaged"):
        rows_of(damage(gzip.compress(content.encode())))


def test_gzip_bomb_is_given_up() -> None:
    """A small file that never ends is not read to its end."""
    blank = (b" " * 50_000 + b"\n") * 300
    bomb = gzip.compress(b"email\n") + gzip.compress(blank) * 4

    with pytest.raises(FileError, match="unpacks to more than"):
        rows_of(bomb)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found_in_the_header_row(delimiter: str) -> None:
    """Commas inside a quoted name do not mislead."""
    content = f'"Plan, or ""none"""{delimiter}email{delimiter}language\nx{delimiter}guest@example.com{delimiter}fr'

    row = one_row(content)

    assert (row.recipient, row.language) == ("guest@example.com", "fr")
    assert reader_of(content).delimiter == delimiter


def test_delimiter_line_of_spreadsheets_is_obeyed() -> None:
    """`sep=` names the delimiter and is not a row."""
    row = one_row("sep=:\nemail:language\nguest@example.com:fr")

    assert (row.line, row.recipient, row.language) == (3, "guest@example.com", "fr")


def test_tab_in_the_name_decides_a_single_column(tmp_path: Path) -> None:
    """A .tsv file with one column has tabs, although none shows."""
    path = tmp_path / "people.TSV.gz"
    path.write_bytes(gzip.compress(b"email\nguest,x\tfr\n"))

    with read_rows(path) as reader:
        assert reader.delimiter == "\t"


def test_delimiter_can_be_given() -> None:
    """Any single character serves, and a tab can be written."""
    assert one_row("email:language\nguest@example.com:fr", delimiter=":").language == "fr"
    assert one_row("email\tlanguage\nguest@example.com\tfr", delimiter="\\t").language == "fr"


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\0", " "])
def test_other_delimiters_are_refused(delimiter: str) -> None:
    """A character with a meaning in CSV cannot be the delimiter."""
    with pytest.raises(FileError, match="the delimiter must be one character"):
        reader_of(PLAIN, delimiter=delimiter)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_do_anywhere(end: str) -> None:
    """Unix, Windows and old Mac files have the same rows and numbers."""
    rows = rows_of(PLAIN.replace("\n", end))

    assert [row.line for row in rows] == [2, 3]


def test_quoted_cells_hold_delimiters_and_line_breaks() -> None:
    """A row is numbered by its first line."""
    content = 'email,note\na@example.com,"one, two\nthree ""four"""\nb@example.com,x\n'

    assert [(row.line, row.recipient) for row in rows_of(content) if isinstance(row, Row)] == [
        (2, "a@example.com"),
        (4, "b@example.com"),
    ]


def test_forgotten_quotation_mark_is_named_and_no_row_after_it_is_guessed() -> None:
    """Where the cell ends is not known, so no row after it is read."""
    content = 'email,note\nz@example.com,x\na@example.com,"open\n' + "".join(
        f"guest-{number}@example.com,x\n" for number in range(200)
    )

    with pytest.raises(FileError, match="line 3 opens a quotation mark that is never closed"):
        rows_of(content)


@pytest.mark.parametrize("lines", [2, 65, 5_000])
def test_quoted_cell_has_any_number_of_lines(lines: int) -> None:
    """A cell with a long text is one cell."""
    content = 'email,note\na@example.com,"' + "text\n" * (lines - 1) + '"\nb@example.com,x\n'

    assert recipients_of(content) == ["a@example.com", "b@example.com"]


def test_quoted_cell_has_a_bounded_size() -> None:
    """No file can fill the memory."""
    content = 'email,note\na@example.com,"' + f"{'x' * 1_000}\n" * 1_100 + '"\nb@example.com,x\n'

    with pytest.raises(FileError, match="line 2 opens a quotation mark"):
        rows_of(content)


def test_text_after_a_closing_quotation_mark_is_an_error() -> None:
    """An ambiguous cell is not guessed."""
    rows = rows_of('email,note\na@example.com,"x"y\nb@example.com,x"y\n')

    assert [(row.line, type(row)) for row in rows] == [(2, RowError), (3, Row)]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a@example.com,fr,x", "has more columns"),
        ("a@example.com,fr,,x", "has more columns"),
    ],
)
def test_row_of_another_width_is_an_error(row: str, problem: str) -> None:
    """A cell too many or too few may have shifted the others."""
    [error] = rows_of(f"email,language\n{row}\n")

    assert isinstance(error, RowError)
    assert (error.line, error.field) == (2, "row")
    assert error.problem.startswith(problem)


def test_blank_rows_and_blank_cells_at_the_end_do_not_count() -> None:
    """Spreadsheets write rows of delimiters and columns of nothing."""
    content = "email,language\n\n,\n  ,  \n,,,,\na@example.com,fr,,\n"

    assert [(row.line, type(row)) for row in rows_of(content)] == [(6, Row)]


def test_long_line_costs_itself_alone() -> None:
    """A line that never seems to end is passed over in pieces."""
    rows = rows_of("email,note\n" + "y" * (LONGEST_LINE * 3) + "\nb@example.com,x\n")

    assert [(row.line, type(row)) for row in rows] == [(2, RowError), (3, Row)]
    assert isinstance(rows[0], RowError)
    assert rows[0].problem == "is longer than 65,536 characters"


def test_large_cells_are_read_up_to_the_limit_of_a_line() -> None:
    """The csv module's own limit of a field is out of reach."""
    assert csv.field_size_limit() > LONGEST_LINE
    assert recipients_of("note,email\n" + "x" * (LONGEST_LINE - 20) + ",a@example.com\n") == ["a@example.com"]


def test_json_lines_hold_one_object_each() -> None:
    """Objects may differ in their keys; authParams may be an object."""
    content = (
        '{"email":"a@example.com","authParams":{"state":"x"},"note":null}\n'
        "\n"
        '{"phone":"+1 202 555 0123","lang":"fr","plan":1}\n'
        "nonsense\n"
        "[1]\n"
        '{"email":"b@example.com","mail":"c@example.com"}\n'
        '{"email":null}\n'
    )
    reader = reader_of(content)

    rows = list(reader)

    assert reader.format is FileFormat.JSON_LINES
    assert rows[:2] == [
        Row(1, rows[0].kind, "a@example.com", auth_params='{"state":"x"}') if isinstance(rows[0], Row) else None,
        Row(3, rows[1].kind, "+12025550123", "fr") if isinstance(rows[1], Row) else None,
    ]
    assert [(row.line, row.field) for row in rows[2:] if isinstance(row, RowError)] == [
        (4, "row"),
        (5, "row"),
        (6, "row"),
        (7, "recipient"),
    ]
    assert reader.ignored_columns == ("note", "plan")


def test_json_lines_are_known_by_name_where_the_first_line_is_broken(tmp_path: Path) -> None:
    """One bad first line does not turn the file into CSV."""
    path = tmp_path / "people.ndjson"
    path.write_text('nonsense\n{"email":"a@example.com"}\n', encoding="utf-8")

    rows = list(read_rows(path))

    assert [type(row) for row in rows] == [RowError, Row]


def test_mapped_columns_serve_json_lines_and_may_be_left_out() -> None:
    """An object without the mapped key simply has no value for it."""
    content = '{"to":"a@example.com","sprache":"de"}\n{"to":"b@example.com"}\n'

    rows = rows_of(content, columns={"email": "to", "language": "sprache"})

    assert [row.language for row in rows if isinstance(row, Row)] == ["de", None]


def test_objects_of_endless_variety_do_not_fill_the_memory() -> None:
    """The memory for names of keys is limited."""
    reader = reader_of("".join(f'{{"email":"a@example.com","key {number % 997}":1}}\n' for number in range(3_000)))

    assert sum(isinstance(row, Row) for row in reader) == 3_000
    assert len(reader.ignored_columns) == 50
    assert len(reader._layouts) <= 256
