"""The demo's recipient file: its valid and its malformed rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Identifier
from gatepost_operations.files.rows import RowError, read_rows

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Recipients:
    """The rows of a recipient file.

    Attributes:
        valid: the valid rows, with duplicates.
        malformed: the errors of the other rows.
    """

    valid: tuple[Row, ...]
    malformed: tuple[RowError, ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.valid) + len(self.malformed)

    @property
    def addresses(self) -> list[str]:
        """Every email address once, in the file's order."""
        return list(dict.fromkeys(row.recipient for row in self.valid if is_email(row)))


def read_recipients(file: Path) -> Recipients:
    """Read a recipient file.

    Raises:
        FileError: the file cannot be read, or has no column of recipients.
    """
    with read_rows(file) as reader:
        items = list(reader)
    valid = tuple(item for item in items if isinstance(item, Row))
    return Recipients(valid, tuple(item for item in items if isinstance(item, RowError)))


def is_email(row: Row) -> bool:
    """Return whether the row's identifier is an email address, and not a phone number."""
    return row.kind.identifier is Identifier.EMAIL
