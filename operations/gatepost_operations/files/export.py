"""Recipients' outcomes as a file: JSON Lines or CSV, which can be read again as a file of recipients."""

from __future__ import annotations

import csv
import os
import tempfile
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from gatepost_core.safe_text import visible_json
from gatepost_operations.files.text_reader import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from gatepost.campaigns.report import RecipientReport

COLUMNS: Final = (
    "email",
    "phone_number",
    "language",
    "client_ip",
    "auth_params",
    "state",
    "reason",
    "http_status",
    "attempts",
    "at",
)
# What makes a spreadsheet take a cell for a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """How outcomes are written."""

    NDJSON = "ndjson"
    CSV = "csv"


def written(reports: Iterable[RecipientReport], target: Path | IO[str], how: ExportFormat) -> int:
    """Write outcomes, a recipient a line, and return how many.

    Args:
        reports: the outcomes; read as a stream.
        target: an open text stream, or a file: it appears at the end, complete, and only its owner may read it (mode 0600).
        how: the format. In CSV, a cell that a spreadsheet would take for a formula gets a leading apostrophe.

    Raises:
        FileError: the file cannot be written.
    """
    if isinstance(target, Path):
        with _appearing(target, "utf-8-sig" if how is ExportFormat.CSV else "utf-8") as stream:
            return _write_all(reports, stream, how)
    number = _write_all(reports, target, how)
    target.flush()
    return number


def _write_all(reports: Iterable[RecipientReport], stream: IO[str], how: ExportFormat) -> int:
    write = _csv_writer(stream) if how is ExportFormat.CSV else _json_writer(stream)
    number = 0
    for report in reports:
        write(report.as_json())
        number += 1
    return number


def _json_writer(stream: IO[str]) -> Callable[[Mapping[str, Any]], None]:
    def write(document: Mapping[str, Any]) -> None:
        stream.write(f"{visible_json(document)}\n")

    return write


def _csv_writer(stream: IO[str]) -> Callable[[Mapping[str, Any]], None]:
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)

    def write(document: Mapping[str, Any]) -> None:
        writer.writerow([_cell(document.get(column)) for column in COLUMNS])

    return write


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = visible_json(value) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


@contextmanager
def _appearing(path: Path, encoding: str) -> Iterator[IO[str]]:
    try:
        # mkstemp gives mode 0600 from the first byte on.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        part = Path(name)
        try:
            with os.fdopen(handle, "w", encoding=encoding, newline="") as stream:
                yield stream
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as failure:
        raise FileError(f"{path.name} cannot be written: {failure.strerror}") from failure
