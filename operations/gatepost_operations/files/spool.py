"""Copies an input that can be read only once, such as a pipe, to a temporary file."""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from gatepost_operations.files.output import full_disk
from gatepost_operations.files.text_reader import STANDARD_INPUT, FileError, standard_input, why_not_opened

if TYPE_CHECKING:
    from collections.abc import Iterator


def is_read_once(given: str) -> bool:
    """Whether an argument names standard input, a pipe, a device or a shell's `<(command)`."""
    if given == STANDARD_INPUT:
        return True
    try:
        return not stat.S_ISREG(Path(given).expanduser().stat().st_mode) and not Path(given).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):
        # The reader names the problem.
        return False


@contextmanager
def copied(given: str) -> Iterator[BinaryIO]:
    """Give a temporary copy of the content, which has no name and disappears with the block.

    Raises:
        FileError: it cannot be read, or the temporary directory has no room.
    """
    name = "standard input" if given == STANDARD_INPUT else given
    if given == STANDARD_INPUT and sys.stdin is not None and sys.stdin.isatty():
        raise FileError("standard input is a terminal; give a file, or pipe one in")
    try:
        copy = cast("BinaryIO", tempfile.TemporaryFile(prefix="gatepost-rows-"))  # noqa: SIM115 - closed below
    except OSError as failure:
        raise FileError(f"no temporary file can be made for {name}: {_reason(failure)}; set TMPDIR") from None
    with copy:
        source = standard_input() if given == STANDARD_INPUT else _opened(given)
        try:
            shutil.copyfileobj(source, copy)
            copy.flush()
        except OSError as failure:
            raise FileError(
                f"{name} cannot be copied to {tempfile.gettempdir()}: {_reason(failure)}; set TMPDIR to another directory"
            ) from None
        finally:
            if given != STANDARD_INPUT:
                source.close()
        yield copy


def _opened(given: str) -> BinaryIO:
    try:
        return Path(given).expanduser().open("rb")
    except OSError as failure:
        raise FileError(f"{given} cannot be opened: {why_not_opened(Path(given).expanduser(), failure)}") from None


def _reason(failure: OSError) -> str:
    return full_disk(failure) or failure.strerror or "unknown error"
