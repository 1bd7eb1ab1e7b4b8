"""Group lines into records: CSV rows, JSON objects, and malformed records."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from gatepost_operations.files.text_reader import LONGEST_LINE, FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_RECORD: Final = 1_048_576
"""Characters of one row, whose quoted cells can have many lines."""
TOO_LONG: Final = f"is longer than {LONGEST_LINE:,} characters"
_NOT_AN_OBJECT: Final = "is not a JSON object; write one on each line"
_TWICE: Final = "has a key twice; remove one"
_MISQUOTED: Final = "has a misplaced quotation mark; inside a quoted cell, write each quotation mark twice"
_NOT_CLOSED: Final = "{name}: line {line} opens a quotation mark that is never closed properly, so the rows after it cannot be told apart; close it, or double it"
_LOOKS_LIKE_ROWS: Final = "has a cell whose lines look like rows: its quotation mark opens in line {first} and closes in line {last}; correct the quotation marks, or empty the cell"
_RECIPIENT: Final = re.compile(r"@|(?:\d\D*){5}")
_TOO_MANY: Final = "has more columns than the header row"
_JSON_OBJECT: Final = re.compile(r'\s*\{\s*["}]')


@dataclass(frozen=True, slots=True, repr=False)
class Malformed:
    """A record that does not split into columns.

    Attributes:
        problem: the error.
        text: the record as in the file.
    """

    problem: str
    text: str


def looks_like_json(line: str) -> bool:
    """Whether the line begins a JSON object."""
    return _JSON_OBJECT.match(line) is not None


def json_records(lines: Iterable[str | None], start: int = 1) -> Iterator[tuple[int, dict[str, Any] | Malformed]]:
    """Read JSON Lines: one object on each line. Blank lines are skipped.

    Args:
        lines: the lines; None for a line that is too long.
        start: the number of the first line.

    Yields:
        The number of the line, and its object.
    """
    for number, line in enumerate(lines, start):
        if line is None:
            yield number, Malformed(TOO_LONG, "")
        elif not line.isspace():
            yield number, _json_object(line)


def _json_object(line: str) -> dict[str, Any] | Malformed:
    try:
        document = from_json(line)
    except (ValueError, TypeError):
        document = None
    if not isinstance(document, dict):
        return Malformed(_NOT_AN_OBJECT, line.rstrip("\r\n"))
    # Most lines have exactly the quotation marks of their keys and texts, and so no key twice.
    texts = list(map(type, document.values())).count(str)
    if line.count('"') == 2 * (len(document) + texts) and "\\" not in line:
        return document
    return Malformed(_TWICE, line.rstrip("\r\n")) if _repeats_a_key(line) else document


def _repeats_a_key(line: str) -> bool:
    # pydantic's parser keeps the last of equal keys.
    repeated = False

    def note(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in pairs}) != len(pairs)

    try:
        json.loads(line, object_pairs_hook=note)
    except (ValueError, RecursionError):
        # Python's parser refuses what the other one accepts: very deep values.
        return False
    return repeated


class CsvRecords:
    """The rows of a CSV file. A malformed row of one line does not affect the rows after it.

    A quoted cell may have any number of lines, up to `LONGEST_RECORD` characters for the row. If a quotation mark is closed in an unexpected place or
    never, the end of the cell is unknown, so reading ends.

    Args:
        name: the file's name in messages.
        lines: the lines; None for a line that is too long.
        delimiter: the CSV delimiter.
        start: the number of the first line.
    """

    def __init__(self, name: str, lines: Iterator[str | None], delimiter: str, start: int = 1) -> None:
        self._name = name
        self._feed = _Feed(lines, start)
        self._delimiter = delimiter
        self._reader = csv.reader(self._feed, delimiter=delimiter, strict=True)
        self._width = 0
        self._recipients: tuple[int, ...] = ()

    def expect(self, width: int, recipients: Iterable[int]) -> None:
        """From now on, rows have this number of columns. Missing cells at the end are empty; blank ones beyond it do not count.

        Args:
            width: the number of columns.
            recipients: the positions of addresses and numbers.
        """
        self._width = width
        self._recipients = tuple(recipients)

    def __iter__(self) -> Iterator[tuple[int, list[str] | Malformed]]:
        """Yield the number of each row's first line, and its cells. Blank lines are skipped.

        Raises:
            FileError: a quotation mark is not closed.
        """
        feed, reader = self._feed, self._reader
        taken = feed.taken
        while True:
            taken.clear()
            feed.later_size = 0
            first = feed.next_number
            try:
                cells = next(reader)
            except StopIteration:
                return
            except _LineTooLong:
                yield first, Malformed(TOO_LONG, "")
            except (csv.Error, _RecordTooLong):
                if len(taken) > 1 or feed.is_at_end(self._delimiter):
                    raise FileError(_NOT_CLOSED.format(name=self._name, line=first)) from None
                yield first, Malformed(_MISQUOTED, feed.text)
            else:
                if len(taken) > 1 and self._swallows_rows():
                    yield (
                        first,
                        Malformed(_LOOKS_LIKE_ROWS.format(first=first, last=first + len(taken) - 1), feed.text),
                    )
                elif cells and (len(cells) == self._width or not self._width):
                    yield first, cells
                elif any(map(str.strip, cells)):
                    yield first, self._fitted(cells)

    def _fitted(self, cells: list[str]) -> list[str] | Malformed:
        if len(cells) < self._width:
            return cells + [""] * (self._width - len(cells))
        if not any(map(str.strip, cells[self._width :])):
            return cells[: self._width]
        return Malformed(_TOO_MANY, self._feed.text)

    def _swallows_rows(self) -> bool:
        """Whether most lines inside a cell look like rows, as after a forgotten quotation mark."""
        inner = self._feed.taken[1:]
        rows = sum(map(self._is_like_a_row, inner))
        return self._width > 0 and rows * 2 >= len(inner)

    def _is_like_a_row(self, line: str) -> bool:
        cells = line.rstrip("\r\n").split(self._delimiter)
        return len(cells) == self._width and any(_RECIPIENT.search(cells[place]) for place in self._recipients)


class _LineTooLong(Exception):
    """The row is one line that was too long and was skipped."""


class _RecordTooLong(Exception):
    """The row has too many characters."""


class _Feed:
    """Passes lines to the CSV reader, and keeps the lines of the current row.

    Attributes:
        next_number: the number of the next line.
        taken: the lines of the current row.
        later_size: characters of them after the first line.
    """

    def __init__(self, lines: Iterator[str | None], start: int) -> None:
        self._next_line = lines.__next__
        self.next_number = start
        self.later_size = 0
        self.taken: list[str] = []

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._next_line()
        self.next_number += 1
        taken = self.taken
        if line is None:
            raise _RecordTooLong if taken else _LineTooLong
        taken.append(line)
        # One line alone is never longer than a record may be.
        if len(taken) > 1:
            self.later_size += len(line)
            if len(taken[0]) + self.later_size > LONGEST_RECORD:
                raise _RecordTooLong
        return line

    @property
    def text(self) -> str:
        """The current row as in the file."""
        return "".join(self.taken).rstrip("\r\n")

    def is_at_end(self, delimiter: str) -> bool:
        """Whether the row is the file's last line and opens a quotation mark that nothing closes."""
        try:
            next(csv.reader(self.taken, delimiter=delimiter, strict=True))
        except csv.Error as problem:
            return "end of data" in str(problem)
        return False
