"""Group lines into records: CSV rows, JSON objects, and malformed records."""

from __future__ import annotations

import csv
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from gatepost_operations.files.text_reader import LONGEST_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TOO_LONG: Final = f"is longer than {LONGEST_LINE:,} characters"
_NOT_AN_OBJECT: Final = "is not a JSON object; write one on each line"
_MISQUOTED: Final = "has a quotation mark out of place or never closed; double the ones inside a quoted field"
# A quoted field can contain line breaks. A field of more lines has a missing quotation mark, which must not swallow the file.
_MOST_LINES: Final = 64
_TOO_FEW: Final = "has fewer columns than the header row"
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
    return document if isinstance(document, dict) else Malformed(_NOT_AN_OBJECT, line.rstrip("\r\n"))


class CsvRecords:
    """The rows of a CSV file. A malformed row does not affect the rows after it.

    If a quotation mark is never closed, only the first line of the row is malformed. The lines after it are read again.

    Args:
        lines: the lines; None for a line that is too long.
        delimiter: the CSV delimiter.
        start: the number of the first line.
    """

    def __init__(self, lines: Iterator[str | None], delimiter: str, start: int = 1) -> None:
        self._feed = _Feed(lines, start)
        self._reader = csv.reader(self._feed, delimiter=delimiter, strict=True)
        self._width = 0

    def expect(self, width: int) -> None:
        """From now on, rows with another number of columns are malformed. Blank columns at the end do not count."""
        self._width = width

    def __iter__(self) -> Iterator[tuple[int, list[str] | Malformed]]:
        """Yield the number of each row's first line, and its cells. Blank lines are skipped."""
        feed, reader = self._feed, self._reader
        while True:
            first = feed.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except _LineTooLong:
                yield first, Malformed(TOO_LONG, "")
            except (csv.Error, _RecordTooLong):
                yield first, feed.give_up()
            else:
                if cells and (len(cells) == self._width or not self._width):
                    yield first, cells
                elif any(map(str.strip, cells)):
                    yield first, self._fitted(cells)

    def _fitted(self, cells: list[str]) -> list[str] | Malformed:
        if len(cells) >= self._width and not any(map(str.strip, cells[self._width :])):
            return cells[: self._width]
        problem = _TOO_FEW if len(cells) < self._width else _TOO_MANY
        return Malformed(problem, "".join(self._feed.taken).rstrip("\r\n"))


class _LineTooLong(Exception):
    """The row is one line that was too long and was skipped."""


class _RecordTooLong(Exception):
    """The row has too many lines."""


class _Feed:
    """Passes lines to the CSV reader, and keeps the lines of the current row."""

    def __init__(self, lines: Iterator[str | None], start: int) -> None:
        self._lines = lines
        self._returned: deque[str | None] = deque()
        self._next_number = start
        self.taken: list[str] = []

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self._next_number += 1
        if line is None:
            if not self.taken:
                raise _LineTooLong
            self._put_back([None])
            raise _RecordTooLong
        self.taken.append(line)
        if len(self.taken) > 1 and (len(self.taken) > _MOST_LINES or sum(map(len, self.taken)) > LONGEST_LINE):
            raise _RecordTooLong
        return line

    def begin(self) -> int:
        """Begin a row, and return the number of its first line."""
        self.taken.clear()
        return self._next_number

    def give_up(self) -> Malformed:
        """Return the row's first line as malformed. Its other lines are read again."""
        first, *others = self.taken
        self._put_back(others)
        self.taken = [first]
        return Malformed(_MISQUOTED, first.rstrip("\r\n"))

    def _put_back(self, lines: list[Any]) -> None:
        self._returned.extendleft(reversed(lines))
        self._next_number -= len(lines)
