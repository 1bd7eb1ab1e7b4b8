"""Labelled lines of a report that fits into 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

WIDTH: Final = 80
LABEL: Final = 12
"""Columns of a label."""
# `textwrap` does not break here.
_JOINED: Final = "\xa0"
_LONGEST: Final = 40


def labelled(label: str, text: str) -> Iterator[str]:
    """Yield a text behind its label, with further lines below the text.

    Args:
        label: at most `LABEL` columns.
        text: one paragraph. A word that is longer than a line is not broken, so that it can be copied.
    """
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{label:<{LABEL}}",
        subsequent_indent=" " * LABEL,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from (line.replace(_JOINED, " ") for line in lines)


def listed(label: str, items: Sequence[str], rest: Callable[[int], str], *, lines: int) -> list[str]:
    """Return as many items behind a label as fit into some lines.

    Args:
        label: at most `LABEL` columns.
        items: the items in the order to show them. A line does not end inside an item.
        rest: describes the items from this number on.
        lines: the most lines.
    """
    whole = [_clipped(item).replace(" ", _JOINED) for item in items]
    for number in range(len(whole), 0, -1):
        more = rest(number) if number < len(whole) else ""
        found = list(labelled(label, ", ".join(whole[:number]) + more))
        if len(found) <= lines:
            return found
    return list(labelled(label, rest(0).strip()))


def counts_listed(label: str, counts: Mapping[str, int], *, lines: int, more: str = "") -> list[str]:
    """Return counts behind a label: `de 1,200, en 300 and 45 in 3 others`.

    Args:
        label: at most `LABEL` columns.
        counts: numbers by name, in the order to show them.
        lines: the most lines.
        more: a text behind the last count.
    """
    numbers = list(counts.values())

    def rest(shown: int) -> str:
        others = len(numbers) - shown
        text = f" and {sum(numbers[shown:]):,} in {others:,} other{'' if others == 1 else 's'}" if others else ""
        return f"{text}{more}"

    items = [f"{_clipped(name)} {number:,}" for name, number in counts.items()]
    if more and len(list(labelled(label, ", ".join(items) + more))) <= lines:
        return list(labelled(label, ", ".join(item.replace(" ", _JOINED) for item in items) + more))
    return listed(label, items, rest, lines=lines)


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
