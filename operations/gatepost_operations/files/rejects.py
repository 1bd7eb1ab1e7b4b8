"""The bad rows of a file, written so that they can be corrected and read again."""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from gatepost_operations.files.formats import FileFormat
from gatepost_operations.files.text_reader import STANDARD_INPUT, FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_operations.files.rows import RowError, RowReader
    from gatepost_operations.files.text_reader import Source

ERROR_COLUMNS: Final = ("error_line", "error_field", "error_problem", "error_original")
"""What is added to a bad row. `error_original` has the text of a row that does not fit the columns."""

Original = list[str] | dict[str, Any] | str
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_UNDECODED: Final = re.compile("[\ud800-\udfff]")


class RejectFile:
    """Takes the bad rows of a file."""

    def __init__(self, write: Callable[[RowError, Original], None]) -> None:
        self._write = write

    def write(self, error: RowError, original: Original) -> None:
        """Add a bad row.

        Raises:
            FileError: the disk is full, or gone.
        """
        with _translated():
            self._write(error, original)


@contextmanager
def reject_file(path: Path, reader: RowReader, source: Source) -> Iterator[RejectFile]:
    """Give a reject file. It appears when the block ends without an error, with mode 0600.

    Args:
        path: `.csv` gives CSV with a byte order mark, for spreadsheets; any other name gives JSON Lines.
        reader: the file whose rows they are.
        source: that file's source, which the reject file must not replace.

    Raises:
        FileError: the name is taken by something else, JSON Lines would have to be forced into CSV, or the disk is full.
    """
    as_csv = path.suffix.lower() == ".csv"
    _check_path(path, reader, source, as_csv=as_csv)
    with _translated():
        # mkstemp gives mode 0600 from the first byte on.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    file = os.fdopen(handle, "w", encoding="utf-8-sig" if as_csv else "utf-8", newline="")
    try:
        yield RejectFile((_csv_writer if as_csv else _json_writer)(file, reader.columns or ()))
        with _translated():
            file.close()
            part.replace(path)
    finally:
        with suppress(OSError):
            file.close()
        part.unlink(missing_ok=True)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise FileError(f"the reject file cannot be written: {failure.strerror}") from failure


def _check_path(path: Path, reader: RowReader, source: Source, *, as_csv: bool) -> None:
    if as_csv and reader.format is FileFormat.JSON_LINES:
        raise FileError("the bad rows of JSON Lines are written as JSON Lines; call the reject file .jsonl")
    if not path.exists():
        return
    if not path.is_file():
        raise FileError("the reject file's name is taken by something that is not a file")
    if isinstance(source, (str, os.PathLike)) and source != STANDARD_INPUT and path.samefile(source):
        raise FileError("the reject file must not be the file that is being checked")


def _csv_writer(file: IO[str], columns: tuple[str, ...]) -> Callable[[RowError, Original], None]:
    kept = [place for place, name in enumerate(columns) if name.strip() not in ERROR_COLUMNS]
    writer = csv.writer(file)
    writer.writerow([*ERROR_COLUMNS, *(_cell(columns[place]) for place in kept)])

    def write(error: RowError, original: Original) -> None:
        cells = [_cell(original[place]) for place in kept] if isinstance(original, list) else [""] * len(kept)
        text = _cell(_text(original, columns))
        writer.writerow([error.line, error.field, error.problem, text, *cells])

    return write


def _json_writer(file: IO[str], columns: tuple[str, ...]) -> Callable[[RowError, Original], None]:
    def write(error: RowError, original: Original) -> None:
        named = original if isinstance(original, dict) else {}
        if isinstance(original, list):
            named = dict(zip(columns, original, strict=True))
        document: dict[str, Any] = dict(named)
        text = _text(original, columns)
        told = (error.line, error.field, error.problem, text) if text else (error.line, error.field, error.problem)
        document.update(zip(ERROR_COLUMNS, told, strict=False))
        file.write(_decoded(json.dumps(document, ensure_ascii=False)) + "\n")

    return write


def _text(original: Original, columns: tuple[str, ...]) -> str:
    # A row that comes from an earlier reject file may bring its text along.
    match original:
        case str():
            return original
        case list():
            named: dict[str, Any] = dict(zip(columns, original, strict=True))
        case dict():
            named = original
    return str(named.get(ERROR_COLUMNS[-1], ""))


def _cell(text: str) -> str:
    return _decoded("'" + text if text.startswith(_FORMULA) else text)


def _decoded(text: str) -> str:
    return text if text.isascii() else _UNDECODED.sub("\ufffd", text)
