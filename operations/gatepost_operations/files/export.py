"""Export the outcomes of recipients as JSON Lines or CSV. An export can be read again as a recipient file."""

from __future__ import annotations

import csv
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gatepost.campaigns.report import COLUMNS
from gatepost_core.safe_text import visible_json
from gatepost_operations.files.output import Output, guarded, output_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatepost.campaigns.report import RecipientReport


class ExportFormat(StrEnum):
    """The format of an export."""

    NDJSON = "ndjson"
    CSV = "csv"


def write_outcomes(
    reports: Iterable[RecipientReport], target: Path | IO[str], how: ExportFormat, *, replace: bool = False
) -> int:
    """Write one line per recipient.

    Args:
        reports: the outcomes, read as a stream.
        target: an open text stream, or a file, which is written as `output_file` says.
        how: the format. In CSV, formulas get a leading apostrophe.
        replace: replace an existing file.

    Returns:
        The number of recipients.

    Raises:
        FileExistsAlready: the file exists, and is not to be replaced.
        FileError: the file cannot be written.
    """
    if isinstance(target, Path):
        with output_file(target, as_csv=how is ExportFormat.CSV, replace=replace) as stream:
            return _write_all(reports, stream, how)
    number = _write_all(reports, target, how)
    target.flush()
    return number


def _write_all(reports: Iterable[RecipientReport], stream: Output | IO[str], how: ExportFormat) -> int:
    number = -1 if how is ExportFormat.CSV else 0
    for line in export_lines(reports, how):
        stream.write(line)
        number += 1
    return number


def export_lines(reports: Iterable[RecipientReport], how: ExportFormat) -> Iterator[str]:
    """Yield the lines of an export, each with its end; in CSV, the first one names the columns."""
    if how is ExportFormat.NDJSON:
        for report in reports:
            yield f"{visible_json(report.as_json())}\n"
        return
    written = _Last()
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    yield written.text
    for report in reports:
        document = report.as_json()
        writer.writerow([_cell(document.get(column)) for column in COLUMNS])
        yield written.text


class _Last:
    """Keeps the last text that was written."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return guarded(visible_json(value) if isinstance(value, dict) else str(value))
