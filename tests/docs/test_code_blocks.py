"""Every code block of the documentation runs, loads, or says why it does not."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.checkout import CHECKOUT
from support.markdown_blocks import blocks_of
from support.page_configuration import PARSERS, load_toml, load_variables
from support.page_session import SHELLS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis

    from support.page_session import PageSession
    from support.stack import Stack

PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
# Nothing to execute: a drawing, or words.
_SHOWN = {"text", "mermaid", "diff"}
_RUN = SHELLS | {"python", "pycon"}
_LOADED = {"toml", "dotenv", "env", "lua"} | PARSERS.keys()
_FEWEST_WORDS = 3


def _name(page: Path) -> str:
    return str(page.relative_to(CHECKOUT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_block_can_be_checked_or_says_why_not(page: Path) -> None:
    """A language that the tests do not know, or a block that does not run, needs `<!-- not run: reason -->` before it."""
    unknown = [
        f"{block.place}: {block.language or 'no language'}"
        for block in blocks_of(page)
        if not block.not_run and not block.is_output and block.language not in _RUN | _LOADED | _SHOWN
    ]
    unreasoned = [
        block.place for block in blocks_of(page) if block.not_run and len(block.not_run.split()) < _FEWEST_WORDS
    ]

    assert not unknown
    assert not unreasoned


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.language in _RUN for b in blocks_of(page))], ids=_name
)
def test_a_page_runs_from_top_to_bottom(page: Path, fresh_stack: Stack, open_page: Callable[..., PageSession]) -> None:
    """A reader who copies every block in turn gets the output on the page."""
    reader = open_page(fresh_stack)

    for block in blocks_of(page):
        reader.run(block)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_the_configuration_on_a_page_loads(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    """Documents parse, Lua compiles, and Gatepost takes the settings with every name in them."""
    for block in blocks_of(page):
        if block.is_output or block.not_run:
            continue
        with monkeypatch.context() as patched:
            if block.language in PARSERS:
                PARSERS[block.language](block.code)
            elif block.language == "toml":
                load_toml(block.code, tmp_path, patched)
            elif block.language in {"dotenv", "env"}:
                load_variables(block.code, tmp_path, patched)
            elif block.language == "lua":
                redis_client.script_load(block.code)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_what_is_not_run_is_at_least_well_formed(page: Path) -> None:
    """A block that needs something the tests do not have is still Python, or shell, or JSON."""
    for block in (one for one in blocks_of(page) if one.not_run):
        if block.language == "python":
            ast.parse(block.code, str(page))
        elif block.language in SHELLS and not block.code.lstrip().startswith("$ "):
            bash = shutil.which("bash") or "bash"
            done = subprocess.run([bash, "-n"], input=block.code, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{block.place}: {done.stderr}"
        elif block.language in PARSERS:
            PARSERS[block.language](block.code)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    """A relative link names a file, and its fragment a heading of it."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", link)]

    broken = []
    for link in links:
        path, _, fragment = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (fragment and target.suffix == ".md" and fragment not in _anchors(target)):
            broken.append(link)
    assert not broken


def _anchors(page: Path) -> set[str]:
    # As GitHub makes them.
    headings = re.findall(r"^#+ +(.+?)\s*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
