"""Tables of the report's page: columns over the runs of a contender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comparison import figures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Column:
    """A column of a table of runs: its title, the figure of a run, and its format."""

    title: str
    value: Callable[[Mapping[str, Any]], float | None]
    form: str


def spread(runs: Sequence[Mapping[str, Any]], column: Column) -> figures.Spread:
    """Return the median and the noise of a figure."""
    values = [value for value in map(column.value, runs) if value is not None]
    return figures.spread(values)


def cell(runs: Sequence[Mapping[str, Any]], column: Column) -> str:
    """Return the median; nothing if a run was too short for the figure, or has none."""
    if not any(column.value(run) is not None for run in runs):
        return "n/a"
    return f"{spread(runs, column).median:{column.form}}"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    head = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])
