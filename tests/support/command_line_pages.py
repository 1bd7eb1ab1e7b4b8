"""The help of each command on the pages of the command line. To renew it: `python tests/support/command_line_pages.py`."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatepost_operations.cli.command_table import TABLE
from gatepost_operations.cli.entry import load, main
from support.checkout import CHECKOUT

OVERVIEW: Final = CHECKOUT / "docs" / "reference" / "command-line.md"
PAGES: Final = [OVERVIEW, *sorted((OVERVIEW.parent / "commands").glob("*.md"))]
COLUMNS: Final = "100"
# Its options are another program's.
ELSEWHERE: Final = {"gatepost simulator"}
_BLOCK: Final = re.compile(r"^(## (gatepost[^\n]*)\n\n```text\n)(.*?)(\n```)$", re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every command and verb, as it is typed."""
    found = ["gatepost"]
    for entry in TABLE:
        verbs = getattr(load(entry), "commands", {})
        found += [f"gatepost {entry.name}", *(f"gatepost {entry.name} {verb}" for verb in verbs)]
    return [command for command in found if command not in ELSEWHERE]


def helps_on(page: Path) -> list[tuple[str, str]]:
    """Each command whose help the page shows, with the help."""
    return [(block[2], block[3]) for block in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def printed_help(command: str) -> str:
    """The help that the command prints on a terminal of as many columns as the environment says."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        main([*command.split()[1:], "--help"])
    return "\n".join(line.rstrip() for line in output.getvalue().rstrip().splitlines())


def renewed(text: str) -> str:
    """The page with the help of today's code."""
    return _BLOCK.sub(lambda block: block[1] + printed_help(block[2]) + block[4], text)


if __name__ == "__main__":
    os.environ["COLUMNS"] = COLUMNS
    for each in PAGES:
        each.write_text(renewed(each.read_text(encoding="utf-8")), encoding="utf-8")
