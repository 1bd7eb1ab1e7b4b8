"""Every input that a fuzzer found worth keeping still breaks nothing; needs no fuzzer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fuzz_targets import TARGETS
from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

CORPUS = CHECKOUT / "fuzz" / "corpus"
INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_of_the_corpus_breaks_no_promise(path: Path) -> None:
    """Faults that were found once do not come back."""
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus_and_make_fuzz_runs_it() -> None:
    """A target without inputs, or one that never runs, would look tested."""
    makefile = (CORPUS.parents[1] / "Makefile").read_text(encoding="utf-8")

    assert {path.parent.name for path in INPUTS} == set(TARGETS)
    assert f"FUZZ_TARGETS := {' '.join(TARGETS)}\n" in makefile


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_nothing_at_all(name: str) -> None:
    """The first input that every fuzzer tries."""
    TARGETS[name](b"")
