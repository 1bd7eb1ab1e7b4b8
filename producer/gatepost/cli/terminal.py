"""The Rich console that commands show tables on."""

from __future__ import annotations

import sys

from rich.console import Console

# A pipe has no width of its own; narrower would break lines that a reader greps for.
_PIPE_WIDTH = 160


def console(*, stderr: bool = False) -> Console:
    """Return a console on stdout, or on stderr. Rich itself heeds NO_COLOR, and uses no colour on a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _PIPE_WIDTH, highlight=False, soft_wrap=False)
