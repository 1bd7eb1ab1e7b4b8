"""The runner of the documentation's blocks detects wrong blocks."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import ConfigurationError
from support.markdown_blocks import Block, blocks_of
from support.page_configuration import load_toml, load_variables
from support.page_output import difference
from support.page_session import PageFailure, commands_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.page_session import PageSession


@pytest.fixture
def page(tmp_path: Path) -> Callable[[str], list[Block]]:
    """Make blocks from a page's text."""

    def written(text: str) -> list[Block]:
        file = tmp_path / "page.md"
        file.write_text(text, encoding="utf-8")
        return blocks_of(file)

    return written


def fenced(language: str, code: str, *comments: str) -> str:
    before = "".join(f"<!-- {comment} -->\n" for comment in comments)
    return f"{before}```{language}\n{code}\n```\n\n"


@pytest.fixture
def read(page: Callable[[str], list[Block]], open_page: Callable[..., PageSession]) -> Callable[[str], None]:
    """Read a page from top to bottom."""

    def from_top_to_bottom(text: str) -> None:
        session = open_page()
        for block in page(text):
            session.run(block)

    return from_top_to_bottom


@pytest.mark.parametrize(
    "text",
    [
        fenced("python", "raise ValueError('no')"),
        fenced("python", "value = 1") + fenced("python", "assert value == 2"),
        fenced("python", ">>> 1 + 1\n3"),
        fenced("python", "raise SystemExit"),
        fenced("python", "import os\nos._exit(0)"),
        fenced("sh", "false"),
        fenced("sh", "false | true"),
        fenced("console", "$ false"),
        fenced("console", "$ echo one\ntwo"),
        fenced("console", "$ false\n$ echo $?\n0"),
        fenced("python", "print('one')") + fenced("text", "two", "output"),
        fenced("python", "print('123')", "code of ana@example.com: 123"),
    ],
)
def test_a_block_that_does_not_do_what_it_says_fails(read: Callable[[str], None], text: str) -> None:
    """An error, an exit code, another output."""
    with pytest.raises(PageFailure, match=r"page\.md:\d+"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        fenced("python", "value = 1") + "Some words.\n\n" + fenced("python", "assert value == 1"),
        fenced("python", "import asyncio\nawait asyncio.sleep(0)\nvalue = 1") + fenced("python", "assert value == 1"),
        fenced("python", ">>> value = [1]\n>>> value\n[...]") + fenced("python", "assert value == [1]"),
        "<!-- setup python\nvalue = 7\n-->\n\n" + fenced("python", "assert value == 7"),
        fenced("console", "$ cd /\n$ NAME=ana\n$ pwd; echo $NAME\n/\nana"),
        fenced("console", "$ echo one \\\n    two\none two") + fenced("console", "$ cat <<END\n> three\n> END\nthree"),
        fenced("console", "$ false\n$ echo $?\n1"),
        fenced("console", "$ cat\nana", "input: ana"),
        fenced("sh", "greet() { echo hello; }\nexport NAME=ana") + fenced("console", "$ greet $NAME\nhello"),
        fenced("json", '{"a": 1}', "file: data/a.json")
        + fenced("python", "import json\nassert json.load(open('data/a.json')) == {'a': 1}"),
        fenced("python", "print('one')") + fenced("text", "one", "output"),
        fenced("python", "raise ValueError", "not run: it needs a tenant"),
        "1. In a list:\n\n   ```python\n   value = 1\n   ```\n",
        fenced("sh", "sleep 300 &\necho started"),
    ],
)
def test_a_block_that_does_what_it_says_passes(read: Callable[[str], None], text: str) -> None:
    """Names, variables, functions, directories and files live on within a page."""
    read(text)


def test_a_failure_names_the_line_of_the_page(read: Callable[[str], None]) -> None:
    """Its reader finds the block at once, and the line in it."""
    with pytest.raises(PageFailure, match=r'page\.md", line 5'):
        read("# Title\n\n" + fenced("python", "a = 1\nb = a / 0"))


def test_a_code_comes_from_the_simulator(
    page: Callable[[str], list[Block]], open_page: Callable[..., PageSession]
) -> None:
    """The page shows a code; the test puts the person's newest one in its place."""
    session = open_page()
    session._newest_code = {"ana@example.com": "914377"}.__getitem__
    text = fenced("console", "$ echo 123456; cat\n914377\n914377", "code of ana@example.com: 123456", "input: 123456")

    for block in page(text):
        session.run(block)


@pytest.mark.parametrize("comment", ["not run", "not run:"])
def test_a_block_that_is_not_run_needs_a_reason(page: Callable[[str], list[Block]], comment: str) -> None:
    """Silence is no reason."""
    with pytest.raises(ValueError, match="lacks its text"):
        page(fenced("python", "1", comment))


def test_a_comment_belongs_to_a_block(page: Callable[[str], list[Block]]) -> None:
    """A marker that lost its block is noticed."""
    with pytest.raises(ValueError, match="no code block follows"):
        page("<!-- not run: it needs a tenant -->\n\nOnly words.\n")


def test_commands_keep_their_lines(page: Callable[[str], list[Block]]) -> None:
    """Each command has its line number and its expected output."""
    found = commands_of("$ one \\\n  more\nout\n$ two\n", 10)

    assert [(command.text, command.wanted, command.line) for command in found] == [
        ("one \\\n  more", "out", 10),
        ("two", "", 13),
    ]
    assert commands_of("one\ntwo\n", 1) == []


@pytest.mark.parametrize(
    ("wanted", "printed"),
    [
        ("operation 11111111-2222-3333-4444-555555555555", "operation 0f0e0d0c-0b0a-0908-0706-050403020100"),
        ("at 2026-01-01T00:00:00Z", "at 2027-12-31T23:59:59.123456+00:00"),
        ("took 12 ms", "took 7.5 ms"),
        ("a ... c", "a b c"),
        ("a … c", "a b c"),
        ("a\n...\nd", "a\nb\nc\nd"),
        ("http://localhost:1", "http://localhost:2"),
    ],
)
def test_what_differs_on_every_run_is_not_compared(wanted: str, printed: str) -> None:
    """Ids, times, ports, durations and omitted output are not compared."""
    assert difference(wanted, printed) == ""
    assert difference(wanted, f"{printed} and more") != ""


@pytest.mark.parametrize("code", ["max_attempt = 5", 'max_attempts = "many"', "[[tenants]]\nname = 'acme'", "nonsense"])
def test_a_configuration_that_gatepost_would_not_take_fails(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Misspelt, malformed, incomplete, no TOML at all."""
    with pytest.raises((AssertionError, ConfigurationError, tomllib.TOMLDecodeError)):
        load_toml(code, tmp_path, monkeypatch)


@pytest.mark.parametrize("code", ["GATEPOST_MAX_ATTEMPT=5", "AUTH0_SECRET=x", "GATEPOST_MAX_ATTEMPTS=many", "words"])
def test_an_environment_that_gatepost_would_not_read_fails(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Misspelt, malformed, none at all."""
    with pytest.raises((AssertionError, ConfigurationError)):
        load_variables(code, tmp_path, monkeypatch)
