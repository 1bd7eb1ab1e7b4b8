"""Write files for people: complete or absent, private, and safe to open in a spreadsheet."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from gatepost_operations.files.text_reader import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Spreadsheets take these for the beginning of a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def output_file(path: Path, *, as_csv: bool) -> Iterator[IO[str]]:
    """Open a new file with mode 0600. It appears as `path` when the block ends without an error.

    Args:
        path: the final name.
        as_csv: begin with a byte order mark, which spreadsheets need.

    Raises:
        FileError: the file cannot be written.
    """
    with write_errors(path.name):
        # mkstemp gives mode 0600 from the first byte on.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    file = os.fdopen(handle, "w", encoding="utf-8-sig" if as_csv else "utf-8", newline="")
    try:
        yield file
        with write_errors(path.name):
            file.close()
            part.replace(path)
    finally:
        with suppress(OSError):
            file.close()
        part.unlink(missing_ok=True)


@contextmanager
def write_errors(name: str) -> Iterator[None]:
    """Translate an error of the operating system into a `FileError`."""
    try:
        yield
    except OSError as failure:
        raise FileError(f"{name} cannot be written: {failure.strerror}") from failure


def guarded(cell: str) -> str:
    """Put an apostrophe before a formula, so that a spreadsheet shows the cell as text."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
