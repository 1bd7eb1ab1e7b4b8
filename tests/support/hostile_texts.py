"""A text that tries everything a terminal and Rich can be tried with, and how to tell that it got through."""

from __future__ import annotations

import unicodedata

HOSTILE = "[/x] \x1b]0;spoofed\x07 \x9b2J \u202egnp.exe :smile:\nforged 1 accepted\r[red]"

_JOINERS = "\u200c\u200d"


def steering(text: str) -> list[str]:
    """Return the characters that would control a terminal, or are invisible on it."""
    return [
        character
        for character in text
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or (unicodedata.bidirectional(character) in {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"})
        or (character in "\u061c\u200b\u200e\u200f\ufeff\xad" and character not in _JOINERS)
    ]
