"""Read a sheet of an Excel workbook (.xlsx) as rows of text."""

from __future__ import annotations

import hashlib
import os
import zipfile
from datetime import date, datetime, time
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from gatepost_operations.files.records import TOO_LONG, Malformed
from gatepost_operations.files.text_reader import LONGEST_LINE, STANDARD_INPUT, FileError, Source, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BLOCK: Final = 1 << 20
_ZIP: Final = b"PK\x03\x04"
_WORKBOOK: Final = "xl/workbook.xml"
# As for compressed text. Texts that several cells share are kept in memory.
_STEEPEST_RATIO: Final = 400
_RATIO_COUNTS_FROM: Final = 8 * 1024 * 1024
_MOST_SHARED: Final = 256 * 1024 * 1024
_SHARED: Final = "xl/sharedStrings.xml"
# Whole numbers up to here are exact in a spreadsheet, which keeps 15 digits.
_EXACT: Final = 10**15
_INSTALL: Final = "install the extra: pip install 'gatepost[xlsx]', or export it as CSV"


def is_workbook(source: Source) -> bool:
    """Whether a source is an Excel workbook that can be read from its beginning again."""
    try:
        if isinstance(source, (str, os.PathLike)):
            if source == STANDARD_INPUT or not os.path.isfile(source):  # noqa: PTH113 - a name with a null byte is no error here
                return False
            with open(source, "rb") as file:  # noqa: PTH123 - as above
                return _holds_workbook(file)
        return source.seekable() and _holds_workbook(source)
    except (OSError, ValueError, AttributeError):
        # The reader names the problem. A stream may have no more than `read`.
        return False


class Sheet:
    """The rows of one sheet. It has the attributes of `TextLines` that describe a file.

    Attributes:
        name: the file's name in messages.
        encoding: empty: a workbook has none.
        bytes_read: bytes read so far, estimated by the rows.
        bytes_total: the size of the file.
        digest: the SHA-256 of the file.
    """

    encoding = ""

    def __init__(self, source: Source, *, sheet: str | None = None) -> None:
        """Open a workbook.

        Args:
            source: a path or a binary stream, which stays open.
            sheet: the sheet's name [default: the first sheet].

        Raises:
            FileError: it is damaged, too large or protected, has no such sheet, or the library is missing.
        """
        self.name = name_of(source)
        self.bytes_read = 0
        self.bytes_total = 0
        self._stream: BinaryIO | None = None
        try:
            stream = open(source, "rb") if isinstance(source, (str, os.PathLike)) else source  # noqa: SIM115, PTH123
            self._stream = stream if isinstance(source, (str, os.PathLike)) else None
            self.bytes_total, self.digest = _measured(stream)
            _require_plausible(stream, self.name, self.bytes_total)
            self._book = _library().load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            self._sheet = self._chosen(sheet)
        except FileError:
            self.close()
            raise
        except Exception as failure:  # noqa: BLE001 - the library raises whatever its parsers raise
            self.close()
            raise FileError(
                f"{self.name} cannot be read as a workbook ({type(failure).__name__}); export it as CSV"
            ) from None

    def records(self) -> SheetRecords:
        """Return the rows."""
        return SheetRecords(self, self._sheet)

    def note_row(self, number: int) -> None:
        """Note the progress."""
        rows = max(self._sheet.max_row or number, number)
        self.bytes_read = self.bytes_total * number // rows

    def close(self) -> None:
        """Close the file, unless the source is a stream."""
        if self._stream is not None:
            self._stream.close()

    def _chosen(self, sheet: str | None) -> Any:
        sheets = {one.title: one for one in self._book.worksheets}
        if sheet is None:
            return next(iter(sheets.values()))
        if sheet not in sheets:
            raise FileError(f"{self.name} has no sheet of that name; it has {len(sheets)}; give its name (--sheet)")
        return sheets[sheet]


class SheetRecords:
    """The rows of a sheet, each with its number, as `CsvRecords` gives those of a CSV file."""

    def __init__(self, sheet: Sheet, rows: Any) -> None:
        self._sheet = sheet
        self._rows = rows
        self._width = 0

    def expect(self, width: int, recipients: Iterable[int]) -> None:
        """From now on, rows have this number of columns. Missing cells at the end are empty; blank ones beyond it do not count."""
        del recipients
        self._width = width

    def __iter__(self) -> Iterator[tuple[int, list[str] | Malformed]]:
        """Yield the number of each row, and its cells. Blank rows are skipped.

        Raises:
            FileError: the sheet is damaged.
        """
        rows = self._rows.iter_rows(values_only=True)
        number = 0
        while True:
            try:
                row = next(rows, None)
            except Exception as failure:  # noqa: BLE001 - as above
                raise FileError(
                    f"{self._sheet.name} is damaged in row {number + 1} ({type(failure).__name__}); export it as CSV"
                ) from None
            if row is None:
                return
            number += 1
            self._sheet.note_row(number)
            cells = [_text_of(cell) for cell in row]
            if any(map(str.strip, cells)):
                yield number, self._fitted(cells)

    def _fitted(self, cells: list[str]) -> list[str] | Malformed:
        if sum(map(len, cells)) > LONGEST_LINE:
            return Malformed(TOO_LONG, "")
        if not self._width:
            while cells and not cells[-1].strip():
                cells.pop()
            return cells
        if any(map(str.strip, cells[self._width :])):
            return Malformed("has more columns than the header row", "\t".join(cells))
        return (cells + [""] * self._width)[: self._width]


def _text_of(cell: object) -> str:
    """Return a cell as text. Whole numbers are exact; other numbers keep their decimal point, so that no phone number is made of them."""
    match cell:
        case None:
            return ""
        case str():
            return cell
        case bool():
            return str(cell).upper()
        case float() if cell.is_integer() and abs(cell) < _EXACT:
            return str(int(cell))
        case datetime() | date() | time():
            return cell.isoformat()
        case _:
            return str(cell)


def _holds_workbook(file: BinaryIO) -> bool:
    start = file.tell()
    try:
        if file.read(len(_ZIP)) != _ZIP:
            return False
        file.seek(start)
        with zipfile.ZipFile(file) as archive:
            return _WORKBOOK in archive.namelist()
    except zipfile.BadZipFile:
        return False
    finally:
        file.seek(start)


def _measured(stream: BinaryIO) -> tuple[int, str]:
    """Return the size and the digest of a stream from its position on."""
    start = stream.tell()
    digest = hashlib.sha256()
    size = 0
    while block := stream.read(_BLOCK):
        digest.update(block)
        size += len(block)
    stream.seek(start)
    return size, digest.hexdigest()


def _require_plausible(stream: BinaryIO, name: str, stored: int) -> None:
    start = stream.tell()
    with zipfile.ZipFile(stream) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    stream.seek(start)
    if sum(sizes.values()) > max(_RATIO_COUNTS_FROM, _STEEPEST_RATIO * stored):
        raise FileError(f"{name} unpacks to more than {_STEEPEST_RATIO} times its size, so it is not a recipient file")
    if sizes.get(_SHARED, 0) > _MOST_SHARED:
        raise FileError(f"{name} contains too much text for a workbook; export it as CSV")


def _library() -> Any:
    try:
        return import_module("openpyxl")
    except ImportError:
        raise FileError(f"an Excel workbook needs openpyxl; {_INSTALL}") from None
