"""The page for other languages lists every field of a command."""

from __future__ import annotations

import re
from typing import get_args

from gatepost_core.commands import Command
from support.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "how-to" / "other-languages.md"


def test_the_page_lists_the_fields_of_all_commands() -> None:
    """An integrator reads the page, not the source."""
    section = PAGE.read_text(encoding="utf-8").split("## The command\n")[1].split("\n## ")[0]
    first_cells = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    listed = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}

    assert listed == {field for model in get_args(Command) for field in model.model_fields}
