"""Recipients' files for tests: content in, rows and errors out."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from gatepost_core.campaigns.row import Row
from gatepost_operations.files.rows import RowError, read_rows

if TYPE_CHECKING:
    from gatepost_operations.files.rows import RowReader


def reader_of(content: str | bytes, **options: Any) -> RowReader:
    """Open the content as a stream."""
    return read_rows(io.BytesIO(content.encode() if isinstance(content, str) else content), **options)


def rows_of(content: str | bytes, **options: Any) -> list[Row | RowError]:
    """Read everything."""
    return list(reader_of(content, **options))


def one_row(content: str | bytes, **options: Any) -> Row:
    """Read a file that holds one valid recipient."""
    [row] = rows_of(content, **options)
    assert isinstance(row, Row), row
    return row


def one_error(content: str | bytes, **options: Any) -> RowError:
    """Read a file that holds one bad row."""
    [error] = rows_of(content, **options)
    assert isinstance(error, RowError), error
    return error


def recipients_of(content: str | bytes, **options: Any) -> list[str]:
    """Read everything and return the valid recipients."""
    return [row.recipient for row in rows_of(content, **options) if isinstance(row, Row)]
