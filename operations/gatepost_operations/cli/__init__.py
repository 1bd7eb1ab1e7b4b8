"""The command `gatepost`. Each subcommand is a module that is loaded when it runs."""

from __future__ import annotations

import sys
from importlib import import_module

from gatepost_core.core_dumps import forbid_core_dumps

_NEEDED = {"typer", "rich"}


def main() -> None:
    """Run the command line, and end the process with its exit code."""
    try:
        entry = import_module("gatepost_operations.cli.entry")
    except ModuleNotFoundError as missing:
        if missing.name not in _NEEDED:
            raise
        sys.exit("gatepost: the command line needs its extra; install it: pip install 'gatepost[cli]'")
    forbid_core_dumps()
    sys.exit(entry.main())
