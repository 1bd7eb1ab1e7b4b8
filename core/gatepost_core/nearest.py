"""The known name nearest to a mistyped one, for error messages."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_CLOSE: Final = 0.6


def nearest(given: str, known: Iterable[str], *, share: float = _CLOSE) -> str | None:
    """Return the known name that is most like a given one, or None if none is. Case does not count.

    Args:
        given: the name as typed.
        known: the names that exist.
        share: the least share of letters in common, from 0 to 1, as `difflib` counts it.
    """
    by_lower = {name.casefold(): name for name in known}
    found = get_close_matches(given.strip().casefold(), by_lower, n=1, cutoff=share)
    return by_lower[found[0]] if found else None


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return ` Did you mean NAME?` with the nearest known name, or an empty text. It never repeats the given name."""
    name = nearest(given, known)
    return "" if name in {None, given} else f" Did you mean {name}?"
