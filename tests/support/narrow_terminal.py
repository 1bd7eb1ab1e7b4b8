"""A terminal of 80 columns: commands run in a pseudo-terminal, as for a person who sits in front of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatepost_operations.cli.wrapping import columns_of

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS: Final = 80
_LINES: Final = 24
_QUESTION: Final = "]:"
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LINE_END: Final = re.compile(r"\r*\n|\r")


@dataclass(frozen=True, slots=True)
class Shown:
    """The output of a command.

    Attributes:
        code: the exit code.
        text: everything that was shown, without colours and cursor movements.
    """

    code: int
    text: str

    @property
    def too_wide(self) -> list[str]:
        """The lines that a terminal of 80 columns would wrap."""
        return [line for line in self.text.splitlines() if columns_of(line) > COLUMNS]


def run_in_terminal(words: list[str], *, environment: dict[str, str], directory: Path, typed: str = "") -> Shown:
    """Run `gatepost` with these words in a terminal of 80 columns, and answer its question.

    Args:
        words: the words after `gatepost`.
        environment: the whole environment.
        directory: the working directory.
        typed: the answer to a question.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "gatepost_operations.cli", *words],
        cwd=directory,
        env={**environment, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while read := _read(ours):
        shown += read
        if typed and _ESCAPE.sub("", shown[-100:].decode(errors="ignore")).rstrip().endswith(_QUESTION):
            os.write(ours, typed.encode())
    os.close(ours)
    lines = _LINE_END.split(_ESCAPE.sub("", shown.decode()))
    return Shown(process.wait(), "\n".join(line.rstrip() for line in lines))


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        # Linux reports the end of a pseudo-terminal as an error.
        return b""
