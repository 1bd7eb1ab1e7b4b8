"""Compares the output on a page with the real output, apart from values that differ on every run."""

from __future__ import annotations

import doctest
import re

_CHANGING = (
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"), "TIME"),
    (re.compile(r"\b(localhost|127\.0\.0\.1):\d+"), r"\1:PORT"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(ms|s|min)\b"), r"N \1"),
)
_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def difference(wanted: str, printed: str) -> str:
    """Return how the two differ, or nothing. `...` and `…` match anything; ids, times, ports and durations are not compared."""
    wanted = settled(wanted).replace("…", "...")
    printed = settled(printed)
    checker = doctest.OutputChecker()
    if checker.check_output(wanted, printed, _OPTIONS):
        return ""
    return f"the page says:\n{wanted}\nwhat was printed:\n{printed}"


def settled(text: str) -> str:
    """Return a text in which values that differ on every run are replaced."""
    for pattern, name in _CHANGING:
        text = pattern.sub(name, text)
    return text.strip() + "\n"
