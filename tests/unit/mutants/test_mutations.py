"""The list of mutations stays true to the code, and only a test that fails kills one."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from functools import cache
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest

from mutants import CHECKOUT, LIST, LONGEST_S, Mutation, read_mutations, why_survived, write_source

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not (CHECKOUT / "core").is_dir(), reason="outside of the checkout there is nothing to mutate"
)
MUTATIONS = read_mutations(CHECKOUT / LIST)
LEAST = 60
ONE: dict[str, Any] = {"rule": "a rule", "file": "a.py", "line": "a < b", "becomes": "a <= b", "tests": ("t.py",)}


@cache
def functions_of(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.rule for mutation in MUTATIONS])
def test_a_mutation_changes_a_line_that_is_there_and_names_tests_that_are(mutation: Mutation) -> None:
    """After a change to the code, the error names the entry to update."""
    source = (CHECKOUT / mutation.file).read_text()

    assert mutation.mutated(source) != source
    assert mutation.tests
    for test in mutation.tests:
        path, _, function = test.partition("::")
        assert (CHECKOUT / path).is_file()
        assert not function or function.partition("[")[0] in functions_of(CHECKOUT / path)


def test_each_rule_has_a_unique_name_and_there_are_enough() -> None:
    """The runner shows and selects an entry by its name."""
    assert len({mutation.rule for mutation in MUTATIONS}) == len(MUTATIONS) >= LEAST


def test_every_mutation_is_written_in_the_same_form() -> None:
    """A misspelt field would be left out in silence."""
    listed = tomllib.loads((CHECKOUT / LIST).read_text())["mutation"]

    assert {tuple(one) for one in listed} == {("rule", "file", "line", "becomes", "tests")}


@pytest.mark.parametrize("source", ["a > b", "a < b or a < b"], ids=["nowhere", "twice"])
def test_a_line_that_does_not_occur_once_is_an_error(source: str) -> None:
    """It would be unclear which rule was broken."""
    with pytest.raises(ValueError, match=r"a rule: the text occurs [02] times in a\.py"):
        Mutation(**ONE).mutated(source)


@pytest.mark.parametrize(
    ("code", "output", "why"),
    [
        (0, "3 passed", "its tests pass"),
        (1, "ERROR t.py::test_a - NameError\n1 error", "did not run"),
        (2, "ERROR t.py - ImportError\nInterrupted: 1 error during collection", "did not run"),
        (4, "ERROR: not found: t.py::test_a", "did not run"),
        (5, "no tests ran", "did not run"),
        (-1, "", f"more than {LONGEST_S:.0f} s"),
    ],
    ids=["passes", "fixture", "import", "not found", "none", "time"],
)
def test_what_proves_nothing_of_a_test_leaves_the_mutation_alive(code: int, output: str, why: str) -> None:
    """A mutation that does not load, finds no test or takes too long counts as a survivor."""
    assert why in (why_survived(CompletedProcess([], code, output)) or "")


def test_a_test_that_fails_kills() -> None:
    """One is enough."""
    assert why_survived(CompletedProcess([], 1, "F\nFAILED t.py::test_a - AssertionError\n1 failed")) is None


def test_a_mutation_is_not_judged_by_the_compiled_code_of_another(tmp_path: Path) -> None:
    """Two mutations of one file have the same size, and the tests keep compiled code."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    seen = []
    for value in ("1", "2"):
        write_source(tmp_path / "rule.py", f"VALUE = {value}")
        command = [sys.executable, "-c", "import rule; print(rule.VALUE)"]
        seen.append(
            subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
        )

    assert seen == ["1\n", "2\n"]
