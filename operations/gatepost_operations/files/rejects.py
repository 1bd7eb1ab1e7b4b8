"""Write the invalid rows of a file, with their errors, so that they can be corrected and read again."""

from __future__ import annotations

import csv
import json
import os
import re
from contextlib import contextmanager
from hashlib import blake2b
from typing import IO, TYPE_CHECKING, Any, Final

from gatepost_operations.files.column_names import ERROR_COLUMNS
from gatepost_operations.files.formats import FileFormat
from gatepost_operations.files.output import guarded, output_file
from gatepost_operations.files.text_reader import STANDARD_INPUT, FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost_operations.files.output import Output
    from gatepost_operations.files.rows import RowError, RowReader
    from gatepost_operations.files.text_reader import Source


Original = list[str] | dict[str, Any] | str
_ORIGINAL: Final = "error_original"
_DELIMITERS: Final = frozenset(",;\t|")
_UNDECODED: Final = re.compile("[\ud800-\udfff]")


@contextmanager
def reject_file(
    path: Path, reader: RowReader, source: Source, *, replace: bool = False
) -> Iterator[Callable[[RowError, Original], None]]:
    """Open a reject file as `output_file` does, and yield a function that writes an invalid row.

    Without an invalid row there is no file, and an existing one is unchanged.

    Args:
        path: `.csv` gives CSV with a byte order mark, for spreadsheets; any other name gives JSON Lines.
        reader: the reader of the rows.
        source: the source of the rows, which the reject file must not replace.
        replace: replace an existing file.

    Raises:
        FileExistsAlready: the file exists, and is not to be replaced.
        FileError: the file cannot be written, or the rows of JSON Lines cannot become CSV.
    """
    as_csv = path.suffix.lower() == ".csv"
    _check_path(path, reader, source, as_csv=as_csv)
    with output_file(path, as_csv=as_csv, replace=replace, keep_empty=False) as file:
        columns = reader.columns or ()
        yield _csv_writer(file, columns, reader.delimiter or ",") if as_csv else _json_writer(file, columns)


def _check_path(path: Path, reader: RowReader, source: Source, *, as_csv: bool) -> None:
    if as_csv and reader.format is FileFormat.JSON_LINES:
        raise FileError(
            "the invalid rows of JSON Lines are written as JSON Lines; give the reject file a name that ends in .jsonl"
        )
    if not isinstance(source, (str, os.PathLike)) or source == STANDARD_INPUT:
        return
    if path.exists() and path.samefile(source):
        raise FileError("the reject file must not be the file that is being checked")


def is_untouched(path: Path) -> bool:
    """Whether a file is a reject file without changes since it was written, so that it may be replaced."""
    try:
        if not path.is_file() or not path.stat().st_size:
            return False
        with path.open(encoding="utf-8-sig", newline="") as file:
            is_json = file.read(1) == "{"
            file.seek(0)
            return all(_stamped_json(file) if is_json else _stamped_csv(file))
    except (OSError, ValueError, csv.Error, RecursionError):
        return False


def _stamped_csv(file: IO[str]) -> Iterator[bool]:
    header = file.readline()
    delimiter = header.removeprefix(ERROR_COLUMNS[0])[:1]
    names = next(csv.reader([header], delimiter=delimiter)) if delimiter in _DELIMITERS else []
    yield tuple(names[: len(ERROR_COLUMNS)]) == ERROR_COLUMNS
    place = len(ERROR_COLUMNS) - 1
    for cells in csv.reader(file, delimiter=delimiter, strict=True):
        yield len(cells) == len(names) and cells[place] == _stamp([*cells[:place], *cells[place + 1 :]])


def _stamped_json(file: IO[str]) -> Iterator[bool]:
    for line in file:
        document = json.loads(line)
        yield document.pop(ERROR_COLUMNS[-1], "") == _stamp(document)


def _stamp(row: list[str] | dict[str, Any]) -> str:
    return blake2b(json.dumps(row, sort_keys=True).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _csv_writer(file: Output, columns: tuple[str, ...], delimiter: str) -> Callable[[RowError, Original], None]:
    kept = [place for place, name in enumerate(columns) if name.strip() not in ERROR_COLUMNS]
    # A spreadsheet that opens the checked file opens this one, too.
    writer = csv.writer(file, delimiter=delimiter)

    def write(error: RowError, original: Original) -> None:
        if file.empty:
            writer.writerow([*ERROR_COLUMNS, *(_cell(columns[place]) for place in kept)])
        cells = [_cell(original[place]) for place in kept] if isinstance(original, list) else [""] * len(kept)
        text, _ = _parts(original, columns)
        first = [str(error.line), str(error.field), error.problem, _cell(text)]
        writer.writerow([*first, _stamp([*first, *cells]), *cells])

    return write


def _json_writer(file: Output, columns: tuple[str, ...]) -> Callable[[RowError, Original], None]:
    def write(error: RowError, original: Original) -> None:
        text, named = _parts(original, columns)
        values = (error.line, error.field, error.problem, *([text] if text else []))
        own = {name: value for name, value in named.items() if name not in ERROR_COLUMNS}
        document = json.loads(
            _decoded(json.dumps(own | dict(zip(ERROR_COLUMNS, values, strict=False)), ensure_ascii=False))
        )
        document[ERROR_COLUMNS[-1]] = _stamp(document)
        file.write(json.dumps(document, ensure_ascii=False) + "\n")

    return write


def _parts(original: Original, columns: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Return the text of a row that does not fit the columns, and the values of one that does."""
    if isinstance(original, str):
        return original, {}
    named = original if isinstance(original, dict) else dict(zip(columns, original, strict=True))
    # A row from an earlier reject file may have its text in a column.
    return str(named.get(_ORIGINAL, "")), named


def _cell(text: str) -> str:
    return _decoded(guarded(text))


def _decoded(text: str) -> str:
    return text if text.isascii() else _UNDECODED.sub("\ufffd", text)
