"""Read a recipient file as a stream of checked rows and errors."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import phonenumbers

from gatepost_core.campaigns.row import ROW, Field, Row
from gatepost_core.campaigns.row_parser import Layout, RowParser
from gatepost_core.campaigns.row_values import BadValue
from gatepost_core.error_boundary import boundary
from gatepost_core.kinds import Channel
from gatepost_core.number_rules import NumberRules, Numbers
from gatepost_operations.files.columns import ColumnsError, known_mapping, layout_of, listed
from gatepost_operations.files.first_rows import first_rows
from gatepost_operations.files.formats import CsvFile, FileFormat, JsonLinesFile, open_records, open_sheet
from gatepost_operations.files.records import Malformed
from gatepost_operations.files.text_reader import FileError, Source, TextLines
from gatepost_operations.files.workbook import Sheet, is_workbook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["FileError", "FileFormat", "RowError", "RowReader", "Source", "read_rows"]

R = TypeVar("R", list[str], dict[str, Any])

_MOST_LAYOUTS: Final = 256
_MOST_IGNORED: Final = 50


@dataclass(frozen=True, slots=True)
class RowError:
    """The error of one invalid row. It never contains the row's values.

    Attributes:
        line: the number of the row's first line in the file, from 1.
        field: the invalid field, a name of `gatepost_core.campaigns.row.Field`, or `row` for the whole row.
        problem: the error, one of a closed set of texts that follow the field's name.
    """

    line: int
    field: str
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.problem}"


@boundary
class RowReader:
    """The rows of one file: an iterator, and a context manager that closes the file.

    Attributes:
        name: the file's name.
        format: the file's format.
        encoding: the file's encoding; empty for a workbook.
        delimiter: the delimiter of a CSV file.
        columns: the column names of a CSV file. A list without a header row has one column, `recipient`.
        original: the row of the last error as in the file: its cells, its object, or its text if it does not fit the columns. It contains
            personal data.
    """

    def __init__(
        self, lines: TextLines | Sheet, opened: CsvFile | JsonLinesFile, mapping: Mapping[Field, str], parser: RowParser
    ) -> None:
        self.name = lines.name
        self.encoding = lines.encoding
        self.original: list[str] | dict[str, Any] | str = ""
        self._lines = lines
        self._mapping = mapping
        self._parser = parser
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._ignored: dict[str, None] = {}
        self._ignored_count = 0
        self._taken: dict[str, str] = {}
        self.delimiter: str | None = None
        self.columns: tuple[str, ...] | None = None
        match opened:
            case CsvFile():
                self.format = FileFormat.CSV if opened.delimiter else FileFormat.WORKBOOK
                self.delimiter = opened.delimiter or None
                self.columns = opened.names
                self._note(opened.layout, opened.names)
                self._rows = self._read(opened.records, partial(parser.parse, opened.layout))
            case JsonLinesFile():
                self.format = FileFormat.JSON_LINES
                self._rows = self._read(opened.records, self._json_row)

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """The first columns not recognised so far, by number if the name may be personal data."""
        return tuple(self._ignored)

    @property
    def ignored_count(self) -> int:
        """The number of columns not recognised so far; in JSON Lines, at most that of `ignored_columns`."""
        return self._ignored_count

    @property
    def full_width(self) -> int:
        """Addresses so far whose full-width characters were read as the usual ones."""
        return self._parser.full_width

    @property
    def taken_columns(self) -> dict[str, str]:
        """The first column of each field so far, by the field's name."""
        return dict(self._taken)

    @property
    def bytes_read(self) -> int:
        """Bytes read from the stored file so far."""
        return self._lines.bytes_read

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes read from the stored file so far, in hexadecimal digits."""
        return self._lines.digest

    @property
    def bytes_total(self) -> int | None:
        """The size of the stored file; None if it is unknown."""
        return self._lines.bytes_total

    def __iter__(self) -> Iterator[Row | RowError]:
        return self._rows

    def __next__(self) -> Row | RowError:
        return next(self._rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, unless the source is a stream."""
        self._lines.close()

    @boundary
    def _read(
        self, records: Iterator[tuple[int, R | Malformed]], parse: Callable[[int, R], Row]
    ) -> Iterator[Row | RowError]:
        try:
            for line, record in records:
                if isinstance(record, Malformed):
                    self.original = record.text
                    yield RowError(line, ROW, record.problem)
                    continue
                try:
                    row = parse(line, record)
                except BadValue as bad:
                    if not _is_blank(record):
                        self.original = record
                        yield RowError(line, bad.field, str(bad))
                else:
                    yield row
        finally:
            self.close()

    def _json_row(self, line: int, record: dict[str, Any]) -> Row:
        return self._parser.parse(self._layout(record), line, list(record.values()))

    def _layout(self, record: Mapping[str, Any]) -> Layout:
        names = tuple(record)
        layout = self._layouts.get(names)
        if layout is None:
            try:
                layout = layout_of(names, self._mapping, all_mapped=False)
            except ColumnsError as problem:
                raise BadValue(ROW, str(problem)) from None
            if len(self._layouts) == _MOST_LAYOUTS:
                self._layouts.clear()
            self._layouts[names] = layout
            self._note(layout, names)
        return layout

    def _note(self, layout: Layout, names: Sequence[str]) -> None:
        for name in layout.ignored[:_MOST_IGNORED]:
            if len(self._ignored) < _MOST_IGNORED:
                self._ignored[name] = None
        self._ignored_count = len(layout.ignored) if self.columns else len(self._ignored)
        for field, place in layout.places.items():
            self._taken.setdefault(field.value, names[place].strip())
        if layout.parameters:
            # The names of parameters are the file's own.
            self._taken.setdefault(Field.AUTH_PARAMS.value, f"authParams.NAME ({len(layout.parameters)})")


@boundary
def read_rows(
    source: Source,
    *,
    channel: Channel = Channel.AUTO,
    default_region: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    columns: Mapping[str, str] | None = None,
    numbers: Numbers = Numbers.PLAN,
    allow_landlines: bool = False,
    sheet: str | None = None,
) -> RowReader:
    """Open a recipient file and check it row by row, in constant memory.

    Args:
        source: a path, `-` for standard input, or a binary stream. CSV or JSON Lines, also compressed, or an Excel workbook (`gatepost[xlsx]`).
        channel: the channel of the rows. With `auto`, a row with an address and a number counts as email.
        default_region: ISO 3166-1 code for phone numbers without a country code.
        encoding: the file's encoding [default: that of its byte order mark, else UTF-8].
        delimiter: the CSV delimiter [default: detected].
        columns: column names by field, such as `email` or `language`, for columns that Gatepost does not recognise by name.
        numbers: `plan` accepts the numbers of their country's number plan; `length` also others of a possible length.
        allow_landlines: accept numbers that cannot receive SMS.
        sheet: the sheet of a workbook [default: the first].

    Returns:
        The rows in the file's order, with duplicates and without blank rows.

    Raises:
        FileError: the file cannot be used. Reading can raise it too. An invalid row gives a `RowError` instead.
    """
    region = default_region.upper() if default_region else None
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        hint = " Did you mean GB?" if region == "UK" else ""
        raise FileError(f"the default region is not known; give an ISO 3166-1 code of two letters, such as GB.{hint}")
    try:
        mapping = known_mapping(columns or {})
    except ColumnsError as problem:
        raise FileError(str(problem)) from None
    lines, opened = _opened(source, mapping, encoding=encoding, delimiter=delimiter, sheet=sheet)
    try:
        if isinstance(opened, CsvFile):
            _check_layout(channel, lines.name, opened.layout)
        first, opened = first_rows(opened, mapping)
        first.refuse_unclear_columns(channel, mapping, region)
        national = first.prove_national_numbers(region)
        parser = RowParser(channel, region, NumberRules(numbers, allow_landlines, bare_is_national=national))
    except ColumnsError as problem:
        lines.close()
        raise FileError(f"{lines.name}: {problem}") from None
    except BaseException:
        lines.close()
        raise
    return RowReader(lines, opened, mapping, parser)


def _opened(
    source: Source, mapping: Mapping[Field, str], *, encoding: str | None, delimiter: str | None, sheet: str | None
) -> tuple[TextLines | Sheet, CsvFile | JsonLinesFile]:
    if is_workbook(source):
        book = Sheet(source, sheet=sheet)
        with _closed_on_error(book):
            return book, open_sheet(book, mapping)
    if sheet is not None:
        raise FileError("a sheet is given, and the file is not an Excel workbook; leave --sheet out")
    lines = TextLines(source, encoding=encoding)
    with _closed_on_error(lines):
        return lines, open_records(lines, mapping, delimiter=delimiter)


@contextmanager
def _closed_on_error(lines: TextLines | Sheet) -> Iterator[None]:
    try:
        yield
    except BaseException:
        lines.close()
        raise


def _is_blank(record: list[str] | dict[str, Any]) -> bool:
    return isinstance(record, list) and not any(map(str.strip, record))


def _check_layout(channel: Channel, name: str, layout: Layout) -> None:
    """Refuse a file that has no column for the channel."""
    wanted = channel.identifier
    if wanted and Field(wanted) not in layout.places and Field.RECIPIENT not in layout.places:
        seen = ", ".join([*layout.places, *listed(layout.ignored)])
        raise FileError(f"{name} has no {wanted} column; it has {seen}. Name one (--column {wanted}=NAME)")
