"""The Rich console that commands show tables on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import ProgressColumn
from rich.text import Text

from gatepost_core.safe_text import visible

if TYPE_CHECKING:
    from rich.progress import Task

# A pipe has no width of its own; narrower would break lines that a reader greps for.
_PIPE_WIDTH = 160


class _Screen(Console):
    """Shows every `str`, in a table's cell too, as one line and as it is: no markup, no emoji's names, nothing that steers the terminal.

    A `Text` is shown as it was made, so only our own words go into one.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as Rich shows it."""
        return super().render_str(visible(text), **options)


class Description(ProgressColumn):
    """What a bar is about, as it is: no markup, nothing that steers the terminal."""

    def render(self, task: Task) -> Text:
        """Return the bar's description as Rich shows it."""
        return Text(visible(task.description))


def console(*, stderr: bool = False) -> Console:
    """Return a console on stdout, or on stderr. Rich itself heeds NO_COLOR, and uses no colour on a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    return _Screen(
        file=stream,
        width=None if stream.isatty() else _PIPE_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
    )
