"""A reader finds every page from the index, and the README in one look."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

DOCS = CHECKOUT / "docs"
INDEX = DOCS / "README.md"
_LINK = re.compile(r"\]\(([^)\s#]+)[^)\s]*\)")
_ROOTS = ("core", "producer", "worker", "operations", "simulator", "testing")
_DEPTH = 3
_README_LINES = 120
_FIRST_SCREEN = 32
TERMS = (
    *(
        "queued",
        "in_flight",
        "deferred",
        "accepted",
        "rejected",
        "exhausted",
        "expired",
        "suppressed",
        "cancelled",
        "unknown",
    ),
    *(
        "operation",
        "send",
        "login",
        "campaign",
        "recipient",
        "batch",
        "command",
        "submission",
        "guest list",
        "suppression list",
    ),
    *("ledger", "attempt", "lease", "deadline", "reconciler", "sweep", "idempotency key", "dead letter"),
    *("limiter", "permit", "quota", "reserve", "probe", "hint", "window"),
    *("sealed", "ring", "fingerprint", "audit log", "head", "namespace", "tenant", "application"),
    *("producer", "worker", "broker", "beat", "simulator", "outbox"),
)


def _links_of(page: Path) -> set[Path]:
    targets = [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if not re.match(r"[a-z]+:", link)]
    return {(page.parent / target).resolve() for target in targets}


def test_every_page_is_on_the_index() -> None:
    """A page is linked from the index, or from the list of decisions that the index links."""
    decisions = DOCS / "decisions"
    listed = _links_of(INDEX) | _links_of(decisions / "README.md")

    missing = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page not in listed | {INDEX}]

    assert decisions / "README.md" in _links_of(INDEX)
    assert missing == []


def test_the_index_is_in_the_order_of_diataxis() -> None:
    """Learning, doing, looking up, understanding, and why it is so."""
    headings = re.findall(r"^## (.+)$", INDEX.read_text(encoding="utf-8"), re.MULTILINE)

    assert headings == ["Tutorial", "How-to guides", "Reference", "Explanation", "Decisions"]


def test_the_readme_links_the_index_and_fits() -> None:
    """Purpose and limits are within the first screen, and the whole is short."""
    readme = CHECKOUT / "README.md"
    lines = readme.read_text(encoding="utf-8").splitlines()

    assert INDEX in _links_of(readme)
    assert len(lines) <= _README_LINES
    assert "## Limits of passwordless messages" in lines[:_FIRST_SCREEN]


def test_the_glossary_defines_each_term_once() -> None:
    """Two definitions of one term are one too many."""
    text = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8")
    terms = [term.lower() for term in re.findall(r"^### (.+)$", text, re.MULTILINE)]

    assert len(terms) == len(set(terms))
    assert set(TERMS) - set(terms) == set()


def test_contributing_lists_every_folder_of_the_source() -> None:
    """A newcomer finds each folder, and no folder that is gone."""
    text = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = set(
        re.findall(r"^\| `((?:core|producer|worker|operations|simulator|testing)/\w+(?:/\w+)?)` \|", text, re.MULTILINE)
    )
    packages = [path.parent for root in _ROOTS for path in (CHECKOUT / root).rglob("__init__.py")]
    folders = {str(path.relative_to(CHECKOUT)) for path in packages if len(path.relative_to(CHECKOUT).parts) <= _DEPTH}

    assert (
        folders
        - listed
        - {"simulator/gatepost_simulator", "operations/gatepost_operations", "testing/gatepost_testing"}
        == set()
    )
    assert [folder for folder in listed if not (CHECKOUT / folder).is_dir()] == []


def test_guides_and_explanations_link_the_glossary() -> None:
    """A term has one definition, and its reader gets there in one step."""
    glossary = DOCS / "reference" / "glossary.md"
    pages = [*(DOCS / "how-to").rglob("*.md"), *(DOCS / "explanation").rglob("*.md"), DOCS / "tutorial.md"]

    assert [page.name for page in pages if glossary not in _links_of(page)] == []
