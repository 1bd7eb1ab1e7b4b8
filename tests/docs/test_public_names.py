"""The documentation imports public names only."""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING

import pytest

import gatepost
import gatepost.errors
import gatepost.testing
import gatepost_worker.authentication
from support.checkout import CHECKOUT
from support.markdown_blocks import blocks_of

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
NAMES = {
    "gatepost": set(gatepost.__all__),
    "gatepost.errors": set(gatepost.errors.__all__),
    "gatepost.testing": set(gatepost.testing.__all__),
    "gatepost_worker.authentication": set(gatepost_worker.authentication.__all__),
    "gatepost_simulator.server": {"SimulatorServer"},
    "gatepost_simulator.control": {"ControlClient"},
    "gatepost_simulator.settings": {"SimulatorSettings"},
    "gatepost_operations.files.check": {"check_file"},
    "gatepost_operations.files.rows": {"read_rows"},
    "gatepost_operations.planning.watch": {"watch"},
    "gatepost_operations.maintenance.dead_letters": {"DeadLetterControl", "Selection"},
    "gatepost_operations.maintenance.erasure": {"Erasure"},
}


def imports_of(page: Path) -> list[tuple[str, str]]:
    """Return module and name of each import from our packages."""
    trees = [ast.parse(textwrap.dedent(block.code)) for block in blocks_of(page) if block.language == "python"]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    found = [
        (node.module or "", alias.name) for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    found += [(alias.name, "") for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return [(module, name) for module, name in found if module.startswith("gatepost")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_a_page_imports_public_names_only(page: Path) -> None:
    """CONTRIBUTING says which names are public; a reader relies on no other."""
    internal = [(module, name) for module, name in imports_of(page) if name not in NAMES.get(module, set())]

    assert internal == []


@pytest.mark.parametrize("module", NAMES)
def test_contributing_lists_each_public_module(module: str) -> None:
    """A maintainer sees there which names may not change."""
    text = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## What is public")[1].split("\n## ")[0]
    short = module.startswith("gatepost_operations.")

    assert f"`{module}" in text
    assert not short or all(f"`{name}`" in text for name in NAMES[module])
