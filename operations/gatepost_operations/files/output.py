"""Write files for people: complete or absent, private, and never over another file unless that is asked for."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from gatepost_operations.files.text_reader import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Spreadsheets take these for the beginning of a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_FULL: Final = {
    errno.ENOSPC: "the disk is full; free some space, or write to another disk",
    errno.EDQUOT: "your disk quota is used up; free some space, or write to another disk",
}
_DESCRIPTORS: Final = re.compile(r"/proc/\d+(/task/\d+)?/fd|/dev/fd")
_MOST_LINKS: Final = 40


class FileExistsAlready(FileError):
    """The file exists, and nothing may overwrite it."""


class Output:
    """A text stream whose errors name the file."""

    def __init__(self, stream: IO[str], name: str) -> None:
        self._stream = stream
        self._name = name
        self.empty = True
        """Whether nothing was written so far."""

    def write(self, text: str) -> int:
        """Write text.

        Raises:
            FileError: it cannot be written.
        """
        self.empty = self.empty and not text
        try:
            return self._stream.write(text)
        except OSError as failure:
            raise cannot_write(self._name, failure) from None

    def flush(self) -> None:
        """Write the buffer. Errors are those of `write`."""
        try:
            self._stream.flush()
        except OSError as failure:
            raise cannot_write(self._name, failure) from None


@contextmanager
def output_file(
    path: Path, *, as_csv: bool = False, replace: bool = False, keep_empty: bool = True
) -> Iterator[Output]:
    """Open a file for text.

    A new file has mode 0600, and appears when the block ends without an error. Links are followed. A pipe or a device is written
    directly.

    Args:
        path: the name of the file.
        as_csv: begin with a byte order mark, which spreadsheets need.
        replace: replace an existing file.
        keep_empty: create the file even if nothing is written to it.

    Raises:
        FileExistsAlready: the file exists, and is not to be replaced. Nothing was written.
        FileError: the file cannot be written.
    """
    encoding = "utf-8-sig" if as_csv else "utf-8"
    if is_written_directly(path):
        with _errors(path):
            file = path.open("a", encoding=encoding, newline="")
        try:
            yield Output(file, path.name)
        finally:
            with _errors(path):
                file.close()
        return
    require_free(path, replace=replace)
    with _whole_file(path, encoding, replace=replace, keep_empty=keep_empty) as output:
        yield output


def require_free(path: Path, *, replace: bool = False) -> None:
    """Check a name before the work whose result gets it.

    Raises:
        FileExistsAlready: a file has this name, and is not to be replaced.
        FileError: a directory has this name.
    """
    with _errors(path):
        if path.is_dir():
            raise FileError(f"{path} is a directory; give the name of a file")
        if not replace and path.exists() and not is_written_directly(path):
            raise FileExistsAlready(f"{path} exists already; give another name, or replace it with --force")


def is_written_directly(path: Path) -> bool:
    """Return whether a name belongs to something else than a file or directory: a pipe, a device, an open descriptor."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or _is_descriptor(path)


def cannot_write(name: str, failure: OSError) -> FileError:
    """Return the error of a file that cannot be written."""
    return FileError(f"{name} cannot be written: {full_disk(failure) or failure.strerror or 'unknown error'}")


def full_disk(failure: OSError) -> str | None:
    """Return what to do if the failure is a full disk or a used-up quota."""
    return _FULL.get(failure.errno or 0)


def guarded(cell: str) -> str:
    """Put an apostrophe before a formula, so that a spreadsheet shows the cell as text."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


@contextmanager
def _whole_file(path: Path, encoding: str, *, replace: bool, keep_empty: bool) -> Iterator[Output]:
    with _errors(path):
        # Through links: the link stays, and its target gets the content.
        target = Path(os.path.realpath(path))
        # mkstemp gives mode 0600 from the first byte on.
        handle, name = tempfile.mkstemp(prefix=".gatepost-", dir=target.parent)
    part = Path(name)
    file = os.fdopen(handle, "w", encoding=encoding, newline="")
    output = Output(file, path.name)
    try:
        yield output
        if output.empty and not keep_empty:
            return
        with _errors(path):
            file.flush()
            # A network disk may say only here that it is full.
            os.fsync(handle)
            file.close()
            require_free(path, replace=replace)
            part.replace(target)
    finally:
        with suppress(OSError):
            file.close()
        part.unlink(missing_ok=True)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise cannot_write(path.name, failure) from None


def _is_descriptor(path: Path) -> bool:
    """Return whether a name leads to an open descriptor of this process, such as /dev/stdout."""
    for _ in range(_MOST_LINKS):
        if _DESCRIPTORS.fullmatch(os.path.realpath(path.parent)):
            return True
        if not path.is_symlink():
            return False
        path = path.parent / path.readlink()
    return False
