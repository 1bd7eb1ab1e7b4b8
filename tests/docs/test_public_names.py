"""The documentation imports public names only."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest

import gatepost
import gatepost.errors
import gatepost_worker.authentication
from support.markdown_blocks import blocks_of

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
NAMES = {
    "gatepost": set(gatepost.__all__),
    "gatepost.errors": set(gatepost.errors.__all__),
    "gatepost_worker.authentication": set(gatepost_worker.authentication.__all__),
    "gatepost_simulator.server": {"SimulatorServer"},
    "gatepost_simulator.control": {"ControlClient"},
    "gatepost_simulator.settings": {"SimulatorSettings"},
}
OPERATIONS = tuple(f"gatepost_operations.{package}." for package in ("files", "planning", "maintenance"))


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
    internal = [
        (module, name)
        for module, name in imports_of(page)
        if name not in NAMES.get(module, set()) and not module.startswith(OPERATIONS)
    ]

    assert internal == []
