"""Detect the format of a file from its content and name: JSON Lines or CSV, delimiter and header row."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.row import RECIPIENT_FIELDS, Field
from gatepost_core.campaigns.row_values import unguarded
from gatepost_operations.files.column_names import field_of
from gatepost_operations.files.columns import ColumnsError, layout_of, listed
from gatepost_operations.files.records import CsvRecords, Malformed, json_records, looks_like_json
from gatepost_operations.files.text_reader import PACKED_SUFFIXES, FileError, TextLines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatepost_core.campaigns.row_parser import Layout
    from gatepost_operations.files.workbook import Sheet, SheetRecords

_DELIMITERS: Final = ",;\t|"
# Excel's first line that names the delimiter of a CSV file.
_DELIMITER_LINE: Final = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_DATA: Final = re.compile(r"@|(?:\d\D*){5}")
_JSON_ARRAY: Final = re.compile(r"\s*\[\s*(?:\{.*)?", re.DOTALL)
_JSON_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json"})


class FileFormat(StrEnum):
    """The format of a recipient file."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    WORKBOOK = "xlsx"


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file or a sheet of a workbook, whose columns are known.

    Attributes:
        delimiter: the character between two cells; empty in a workbook.
        names: the column names in the header row.
        layout: the fields of the columns.
        records: the rows after the header row, each with the number of its first line.
    """

    delimiter: str
    names: tuple[str, ...]
    layout: Layout
    records: Iterator[tuple[int, list[str] | Malformed]]


@dataclass(frozen=True, slots=True)
class JsonLinesFile:
    """A file with one JSON object on each line.

    Attributes:
        records: the objects, each with the number of its line.
    """

    records: Iterator[tuple[int, dict[str, Any] | Malformed]]


def open_records(
    lines: TextLines, mapping: Mapping[Field, str], *, delimiter: str | None = None
) -> CsvFile | JsonLinesFile:
    """Detect the format of a file, and read its header row.

    Args:
        lines: the lines of the file.
        mapping: column names by field, as for `layout_of`.
        delimiter: the CSV delimiter [default: detected].

    Raises:
        FileError: the file has no rows, is a JSON array, or its columns are not clear.
    """
    number, first = _first_line(lines)
    following = chain([first], iter(lines))
    if _JSON_ARRAY.fullmatch(first):
        raise FileError(f"{lines.name} is a JSON array; write one object on each line (JSON Lines)")
    if looks_like_json(first) or _suffix(lines.name) in _JSON_SUFFIXES:
        return JsonLinesFile(json_records(following, number))
    given = _DELIMITER_LINE.fullmatch(first)
    if given:
        number, first = number + 1, next(lines, "") or ""
        following = chain([first], iter(lines))
    known = _checked(delimiter) or (given and given[1]) or _likely_delimiter(first, lines.name, mapping)
    return _csv_file(lines.name, CsvRecords(lines.name, following, known, number), known, mapping)


def open_sheet(sheet: Sheet, mapping: Mapping[Field, str]) -> CsvFile:
    """Read the header row of a sheet. Arguments and errors are those of `open_records`."""
    return _csv_file(sheet.name, sheet.records(), "", mapping)


def _first_line(lines: TextLines) -> tuple[int, str]:
    for number, line in enumerate(lines, 1):
        if line is None:
            raise FileError(f"{lines.name}: line {number} is too long to be a header row or a recipient")
        if line.strip():
            return number, line
    raise FileError(f"{lines.name} is empty")


def _suffix(name: str) -> str:
    path = PurePath(name.lower())
    while path.suffix in PACKED_SUFFIXES:
        path = path.with_suffix("")
    return path.suffix


def _checked(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    delimiter = "\t" if delimiter == "\\t" else delimiter
    if len(delimiter) != 1 or delimiter in '"\r\n\0 ':
        raise FileError("the delimiter must be one character such as , or ; (\\t for a tab)")
    return delimiter


def _likely_delimiter(header: str, name: str, mapping: Mapping[Field, str]) -> str:
    def fit(delimiter: str) -> tuple[int, bool, int]:
        try:
            cells = next(csv.reader([header], delimiter=delimiter))
        except csv.Error:
            return 0, False, 0
        known = sum(field_of(cell) is not None or cell.strip() in mapping.values() for cell in cells)
        return known, delimiter == "\t" and _suffix(name) == ".tsv", len(cells)

    return max(_DELIMITERS, key=fit)


def _csv_file(name: str, source: CsvRecords | SheetRecords, delimiter: str, mapping: Mapping[Field, str]) -> CsvFile:
    records = iter(source)
    number, header = next(records, (0, None))
    if header is None:
        raise FileError(f"{name} is empty")
    if isinstance(header, Malformed):
        raise FileError(f"{name}: line {number}, the header row, {header.problem}")
    if len(header) == 1 and _DATA.search(header[0]):
        # The file is a list of addresses or numbers without a header row.
        records = chain([(number, header)], records)
        header = [Field.RECIPIENT.value]
    header = list(map(unguarded, header))
    try:
        layout = layout_of(header, mapping)
    except ColumnsError as problem:
        raise FileError(f"{name}: {problem}") from None
    if not layout.has_recipient:
        if any(map(_DATA.search, header)):
            raise FileError(f"{name} has no header row; begin it with the columns' names, such as email,language")
        raise FileError(
            f"{name} has no column of recipients; it has {', '.join(listed(layout.ignored))}."
            " Call one email or phone_number, or name it (--column email=NAME)"
        )
    source.expect(len(header), [place for field, place in layout.places.items() if field in RECIPIENT_FIELDS])
    return CsvFile(delimiter, tuple(header), layout, records)
