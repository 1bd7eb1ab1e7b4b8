"""The file of people: which rows are valid, and which are not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Identifier
from gatepost_operations.files.rows import RowError, read_rows

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Recipients:
    """A file that was read.

    Attributes:
        valid: the rows that can be sent to, duplicates included.
        malformed: the rows that cannot.
    """

    valid: tuple[Row, ...]
    malformed: tuple[RowError, ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.valid) + len(self.malformed)

    @property
    def addresses(self) -> list[str]:
        """Every e-mail address once, in the file's order."""
        return list(dict.fromkeys(row.recipient for row in self.valid if is_email(row)))


def read_recipients(file: Path) -> Recipients:
    """Read a file of recipients.

    Raises:
        FileError: it cannot be read, or has no column of recipients.
    """
    with read_rows(file) as reader:
        items = list(reader)
    valid = tuple(item for item in items if isinstance(item, Row))
    return Recipients(valid, tuple(item for item in items if isinstance(item, RowError)))


def is_email(row: Row) -> bool:
    """Whether the row is written to by e-mail; otherwise it is by SMS."""
    return row.kind.identifier is Identifier.EMAIL


def options_of(row: Row) -> dict[str, Any]:
    """Return what a row says about its message, as the options of a send."""
    options = {
        "language": row.language,
        "client_ip": row.client_ip,
        "auth_params": row.auth_params and json.loads(row.auth_params),
    }
    return {name: value for name, value in options.items() if value is not None}
