"""Wrap a line at words, for a terminal that would break it inside a word. A command stays in one piece, so that it can be copied."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMAND: Final = r"gatepost [a-z][^;`]*(?=[;`]|$)"
_WORD: Final = re.compile(r"\s*\S+")
_PIECE: Final = re.compile(rf"\s*(?:{_COMMAND}|\S+)")
_INDENT: Final = "  "
# A text and at least two spaces after it, or the place of such a text without one.
_LABEL: Final = re.compile(r"(?: *\S+(?: \S+)* {2,}| {8,})(?=\S)")
_LONGEST_LABEL: Final = 24
# A narrower terminal would get one word a line.
_NARROWEST: Final = 20


def wrapped(line: str, width: int) -> list[str]:
    """Return a line as lines of at most `width` columns. Further lines are indented, below the text of a label if there is one.

    Args:
        line: the text. A command of Gatepost that fits into a line is not broken, and neither is a word.
        width: the columns of the terminal.
    """
    if columns_of(line) <= width or width < _NARROWEST:
        return [line]
    label = _LABEL.match(line)
    if label and columns_of(label[0]) <= _LONGEST_LABEL:
        indent = " " * columns_of(label[0])
    else:
        indent = " " * (len(line) - len(line.lstrip())) + _INDENT
    words = list(_words(line, width - len(indent)))
    lines = words[:1]
    for word in words[1:]:
        if columns_of((lines[-1] + word).rstrip()) <= width:
            lines[-1] += word
        else:
            lines.append(indent + word.lstrip())
    return [line.rstrip() for line in lines]


def _words(line: str, width: int) -> Iterator[str]:
    for piece in _PIECE.findall(line):
        # A command that does not fit into one line breaks like other text.
        yield from [piece] if columns_of(piece.strip()) <= width else _WORD.findall(piece)


def columns_of(text: str) -> int:
    """Return the number of columns that a terminal needs for a text."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
