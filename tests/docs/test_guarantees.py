"""The guarantees and the pages of faults name existing tests, and list every fault that is tested."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
GUARANTEES = TESTS.parent / "docs" / "explanation" / "guarantees.md"
FAULTS = sorted((GUARANTEES.parent / "faults").glob("*.md"))
_NAMED = re.compile(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")


def _named() -> list[tuple[str, str]]:
    return [found for page in (GUARANTEES, *FAULTS) for found in _NAMED.findall(page.read_text(encoding="utf-8"))]


def _tests_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_the_pages_name_exists() -> None:
    """A renamed test must be renamed on its page too."""
    named = _named()

    missing = [f"{path}::{name}" for path, name in named if name not in _tests_in(TESTS / path)]

    assert len(named) > 40
    assert not missing


def test_every_fault_that_is_injected_is_on_a_page() -> None:
    """A new fault needs a row with its effect."""
    named = {name for path, name in _named() if path.startswith("chaos/")}

    injected = {name for path in (TESTS / "chaos").glob("test_*.py") for name in _tests_in(path)}

    assert not injected - named


def test_the_guarantees_link_every_page_of_faults() -> None:
    """A reader of the promises finds each table."""
    text = GUARANTEES.read_text(encoding="utf-8")

    assert FAULTS
    assert [page.name for page in FAULTS if f"](faults/{page.name})" not in text] == []
