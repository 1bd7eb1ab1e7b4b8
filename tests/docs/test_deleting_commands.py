"""A reader who pastes a whole block deletes nothing unseen: each command that deletes has a block for itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.checkout import CHECKOUT
from support.markdown_blocks import blocks_of
from support.page_session import SHELLS

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
DELETES = re.compile(
    r"--yes\b|\brm -\w*r|\bgatepost (recover|erase)\b|\bgatepost dead-letters (drop|replay)\b"
    r"|\bgatepost \S+ (delete|forget|revoke|remove)\b|\bFLUSH(DB|ALL)\b"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_a_command_that_deletes_is_alone_in_its_block(page: Path) -> None:
    """Its look-up or rehearsal is in a block before it."""
    mixed = [
        block.place
        for block in blocks_of(page)
        if block.language in SHELLS - {"console"} and DELETES.search(block.code) and len(commands(block.code)) > 1
    ]

    assert mixed == []


def commands(code: str) -> list[str]:
    lines = re.sub(r"\\\n", " ", code).splitlines()
    return [line for line in map(str.strip, lines) if line and not line.startswith("#")]
