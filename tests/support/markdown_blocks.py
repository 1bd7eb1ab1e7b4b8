"""Finds the code blocks of a Markdown page, and the instructions for tests in the comments before them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_SETUP = re.compile(r"setup (?P<language>python|sh)\n(?P<code>.*)", re.DOTALL)
_NAMED = re.compile(r"(?P<name>not run|file|input|code of [^:\s]+): *(?P<value>.+)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One code block, or a set-up in a comment that no reader sees.

    Attributes:
        page: the file.
        line: where the code begins in it, from 1.
        language: the first word of the fence.
        code: the text.
        not_run: the reason not to run it, from a comment.
        file: the name under which it is put into the page's directory.
        input: standard input of its commands.
        codes: placeholders for a person's newest one-time code, by address.
        is_output: whether it shows the output of the block before it.
    """

    page: Path
    line: int
    language: str
    code: str
    not_run: str = ""
    file: str = ""
    input: str = ""
    codes: dict[str, str] = field(default_factory=dict)
    is_output: bool = False

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page in their order.

    Raises:
        ValueError: a comment asks for something unknown, or asks it of no block.
    """
    return list(_blocks(page, page.read_text(encoding="utf-8")))


def _blocks(page: Path, text: str) -> Iterator[Block]:
    asked: list[str] = []
    for token in MarkdownIt("commonmark").parse(text):
        line = (token.map or [0])[0] + 1
        if token.type == "html_block":
            for comment in _COMMENT.findall(token.content):
                if setup := _SETUP.fullmatch(comment.strip()):
                    yield Block(page, line + 1, setup["language"], setup["code"] + "\n")
                elif _asks(comment.strip()):
                    asked.append(comment.strip())
        elif token.type in {"fence", "code_block"}:
            language = token.info.split()[0] if token.info.split() else ""
            yield _block(page, line + 1, language, token.content, asked)
            asked = []
        elif asked and token.type == "inline":
            raise ValueError(f"{page}:{line}: no code block follows the comment: {asked[0]}")


def _asks(comment: str) -> bool:
    return comment == "output" or _NAMED.fullmatch(comment) is not None or comment.startswith(("not run", "setup"))


def _block(page: Path, line: int, language: str, code: str, asked: list[str]) -> Block:
    found: dict[str, str] = {}
    codes: dict[str, str] = {}
    for comment in asked:
        named = _NAMED.fullmatch(comment)
        if named is None and comment != "output":
            raise ValueError(f"{page}:{line}: the comment lacks its text, as in <!-- not run: why -->: {comment}")
        if named is None:
            continue
        if named["name"].startswith("code of "):
            codes[named["name"].removeprefix("code of ")] = named["value"].strip()
        else:
            found[named["name"].replace(" ", "_")] = named["value"].strip()
    return Block(page, line, language, code, codes=codes, is_output="output" in asked, **found)
