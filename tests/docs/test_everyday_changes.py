"""The table of everyday changes in CONTRIBUTING.md."""

from __future__ import annotations

import re

import pytest

from support.checkout import CHECKOUT

SECTION = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Everyday changes\n")[1].split("\n## ")[0]
ROWS = [row.split("|")[1:3] for row in SECTION.splitlines() if row.startswith("| ")][1:]
CHANGES = {change.strip(): re.findall(r"`([\w/-]+\.(?:py|lua|md))`", files) for change, files in ROWS}


@pytest.mark.parametrize("change", CHANGES)
def test_an_everyday_change_names_files_that_exist(change: str) -> None:
    """A moved file must be moved in the table too."""
    assert CHANGES[change]
    assert [file for file in CHANGES[change] if not (CHECKOUT / file).is_file()] == []


def test_an_everyday_change_touches_few_files() -> None:
    """The table lists every change that is made often, and none needs more than five files."""
    assert len(CHANGES) == 15
    assert max(map(len, CHANGES.values())) <= 5
