"""The page of guarantees names existing tests, and lists every fault that is tested."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "guarantees.md"
_NAMED = re.compile(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")


def _tests_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_the_page_names_exists() -> None:
    """A renamed test must be renamed on the page too."""
    named = _NAMED.findall(PAGE.read_text(encoding="utf-8"))

    missing = [f"{path}::{name}" for path, name in named if name not in _tests_in(TESTS / path)]

    assert len(named) > 40
    assert not missing


def test_every_fault_that_is_injected_is_on_the_page() -> None:
    """A new fault needs a row with its effect."""
    named = {name for path, name in _NAMED.findall(PAGE.read_text(encoding="utf-8")) if path.startswith("chaos/")}

    injected = {name for path in (TESTS / "chaos").glob("test_*.py") for name in _tests_in(path)}

    assert not injected - named
