"""Tables, and the Rich console that they are shown on."""

from __future__ import annotations

import os
import shutil
import sys
import termios
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from rich.console import Console
from rich.progress import ProgressColumn
from rich.table import Table
from rich.text import Text

from gatepost_core.safe_text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.progress import Task

# A pipe has no width. With a small width, Rich would break lines that scripts search.
_PIPE_WIDTH = 160
# The index in the list of `termios.tcgetattr`.
_LOCAL_MODES: Final = 3
_DUMB: Final = {"dumb", "unknown"}


class _Screen(Console):
    """Escapes control characters in every `str`, also in tables. Markup and emoji names are not interpreted.

    A `Text` is not escaped, so use it for constant text only.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as Rich shows it."""
        return super().render_str(visible(text), **options)


def can_draw(stream: TextIO | None) -> bool:
    """Return whether a stream is open, and a terminal that understands control codes."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "").lower() not in _DUMB


@contextmanager
def quiet_keys() -> Iterator[None]:
    """Do not echo keys, so that Enter does not move the screen. Ctrl-C still works."""
    if not _has_the_keyboard():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    quiet = termios.tcgetattr(sys.stdin)
    quiet[_LOCAL_MODES] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        if _has_the_keyboard():
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _has_the_keyboard() -> bool:
    # A background job that changes the terminal is stopped.
    return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; cells that are too wide are folded."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


class Description(ProgressColumn):
    """A bar's description, escaped and without markup, and cut to two fifths of the terminal so that the bar stays on one line."""

    def render(self, task: Task) -> Text:
        """Return the bar's description as Rich shows it."""
        text = Text(visible(task.description), no_wrap=True, overflow="ellipsis")
        text.truncate(shutil.get_terminal_size().columns * 2 // 5, overflow="ellipsis")
        return text


def console(*, stderr: bool = False) -> Console:
    """Return a console on stdout, or on stderr. Rich respects NO_COLOR, and uses no colour on a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    return _Screen(
        file=stream,
        width=None if stream.isatty() else _PIPE_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
    )
