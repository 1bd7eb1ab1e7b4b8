"""A recipients' file as a stream of checked rows: each one a recipient, or what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import phonenumbers

from gatepost_core.campaigns.row import ROW, Field, Row
from gatepost_core.campaigns.row_parser import Layout, RowParser
from gatepost_core.campaigns.row_values import BadValue
from gatepost_core.error_boundary import boundary
from gatepost_core.kinds import Channel
from gatepost_operations.files.columns import ColumnsError, known_mapping, layout_of
from gatepost_operations.files.formats import CsvFile, FileFormat, JsonLinesFile, open_records
from gatepost_operations.files.records import Malformed
from gatepost_operations.files.text_reader import FileError, Source, TextLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["FileError", "FileFormat", "RowError", "RowReader", "Source", "read_rows"]

R = TypeVar("R", list[str], dict[str, Any])

_MOST_LAYOUTS: Final = 256
_MOST_IGNORED: Final = 50


@dataclass(frozen=True, slots=True)
class RowError:
    """One bad row: where it begins and what is wrong with it, never its value.

    Attributes:
        line: the number of the row's first line in the file, from 1.
        field: the field that is wrong (`email`, `phone_number`, `recipient`, `language`, `client_ip`, `auth_params`),
            or `row` for the whole of it.
        problem: one of a closed set of sentences, to be read after the field's name.
    """

    line: int
    field: str
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.problem}"


@boundary
class RowReader:
    """The rows of one file; an iterator and a context manager, which closes the file at the end.

    Attributes:
        name: what to call the file.
        format: CSV or JSON Lines.
        encoding: the encoding in use.
        delimiter: of a CSV file.
        columns: the names of a CSV file's columns. A bare list has one, `recipient`.
        original: the row of the error given last, as the file has it: its cells, its object, or its text where it does
            not fit the columns. It holds people's data.
    """

    def __init__(
        self, lines: TextLines, opened: CsvFile | JsonLinesFile, mapping: Mapping[Field, str], parser: RowParser
    ) -> None:
        self.name = lines.name
        self.encoding = lines.encoding
        self.original: list[str] | dict[str, Any] | str = ""
        self._lines = lines
        self._mapping = mapping
        self._parser = parser
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._ignored: dict[str, None] = {}
        self.delimiter: str | None = None
        self.columns: tuple[str, ...] | None = None
        match opened:
            case CsvFile():
                self.format = FileFormat.CSV
                self.delimiter = opened.delimiter
                self.columns = opened.names
                self._ignored.update(dict.fromkeys(opened.layout.ignored))
                self._rows = self._read(opened.records, partial(parser.parse, opened.layout))
            case JsonLinesFile():
                self.format = FileFormat.JSON_LINES
                self._rows = self._read(opened.records, self._json_row)

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """The columns that were not recognised so far; by number where the name may be a person's data."""
        return tuple(self._ignored)

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the file so far, as stored."""
        return self._lines.bytes_read

    @property
    def bytes_total(self) -> int | None:
        """The size of the file, where it is known."""
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
        """Close the file, unless it was given open."""
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
            for name in layout.ignored:
                if len(self._ignored) < _MOST_IGNORED:
                    self._ignored[name] = None
        return layout


@boundary
def read_rows(
    source: Source,
    *,
    channel: Channel = Channel.AUTO,
    default_region: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> RowReader:
    """Open a recipients' file and check it row by row, in constant memory.

    Args:
        source: a path, `-` for standard input, or a binary stream. CSV or JSON Lines, gzip-compressed or not.
        channel: whom to look for. `auto` takes the address where a row has both.
        default_region: ISO 3166-1 code for phone numbers without a country code.
        encoding: the file's encoding; None takes UTF-8, or what a byte order mark says.
        delimiter: the CSV delimiter; None finds out.
        columns: field (`email`, `phone_number`, `language`, `client_ip`, `auth_params`) to the name of its column,
            where the file calls it something else.

    Returns:
        The rows in the file's order, duplicates included; blank rows are left out.

    Raises:
        FileError: here or while reading, when the file as a whole cannot be used. A bad row is a `RowError`, not this.
    """
    region = default_region.upper() if default_region else None
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise FileError("the default region is not known; give an ISO 3166-1 code of two letters, such as GB")
    try:
        mapping = known_mapping(columns or {})
    except ColumnsError as problem:
        raise FileError(str(problem)) from None
    lines = TextLines(source, encoding=encoding)
    try:
        opened = open_records(lines, mapping, delimiter=delimiter)
        parser = RowParser(channel, region)
        if isinstance(opened, CsvFile):
            _check_layout(channel, lines.name, opened.layout)
    except BaseException:
        lines.close()
        raise
    return RowReader(lines, opened, mapping, parser)


def _is_blank(record: list[str] | dict[str, Any]) -> bool:
    return isinstance(record, list) and not any(map(str.strip, record))


def _check_layout(channel: Channel, name: str, layout: Layout) -> None:
    """Refuse a file that has no column for the channel."""
    wanted = channel.identifier
    if wanted and Field(wanted) not in layout.places and Field.RECIPIENT not in layout.places:
        seen = ", ".join([*layout.places, *layout.ignored])
        raise FileError(f"{name} has no {wanted} column; it has {seen}. Name one (--column {wanted}=NAME)")
