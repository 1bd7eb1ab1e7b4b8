"""The check of a recipient file as lines that fit a screen of 80 columns and 24 lines."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from gatepost_core.kinds import CHANNELS
from gatepost_operations.cli.campaign.lines import WIDTH, counts_listed, labelled, listed
from gatepost_operations.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatepost_operations.files.check import CheckReport, Problem

_FORMATS: Final = {"csv": "CSV", "jsonl": "JSON Lines", "xlsx": "Excel workbook"}
_DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
# The prompt and the command take the other lines.
_SCREEN: Final = 21
_LEAST_OF_KINDS: Final = 7
_COUNT: Final = 9


def check_lines(report: CheckReport, name: str) -> list[str]:
    """Describe a file and its errors. Names lines, columns, domains and countries, never a person's value."""
    lines = [*file_lines(report, name), *_column_lines(report)]
    return [*lines, *error_lines(report, max(_LEAST_OF_KINDS, _SCREEN - len(lines)))]


def file_lines(report: CheckReport, name: str) -> Iterator[str]:
    """Describe a file's rows and recipients."""
    delimiter = f", {_DELIMITERS.get(report.delimiter or '', repr(report.delimiter))}" if report.delimiter else ""
    encoding = f", {report.encoding}" if report.encoding else ""
    yield from labelled("file", f"{name} ({_FORMATS[report.format]}{delimiter}{encoding})")
    duplicates = counted(report.duplicates, "duplicate")
    yield from labelled("rows", f"{report.rows:,}: {report.valid:,} valid, {report.invalid:,} invalid, {duplicates}")
    yield from labelled("recipients", f"{report.recipients:,}{_kinds(report)}")
    if report.regions:
        yield from counts_listed("countries", report.regions, lines=2)
    if report.cannot_receive_sms:
        yield from labelled("no SMS", f"{counted(report.cannot_receive_sms, 'number')} cannot receive SMS")
    if report.valid_by_length:
        yield from labelled("no plan", f"{counted(report.valid_by_length, 'number')} would pass with --numbers length")
    if report.full_width:
        addresses = counted(report.full_width, "address", "addresses")
        yield from labelled("full width", f"{addresses} read with the usual characters")
    if report.domains:
        others = f" and {report.other_domains:,} elsewhere" if report.other_domains else ""
        yield from counts_listed("domains", report.domains, lines=1, more=others)
    if report.languages:
        without = report.valid - sum(report.languages.values())
        none = f", none in {counted(without, 'row')}" if without else ""
        yield from counts_listed("languages", report.languages, lines=2, more=none)


def _kinds(report: CheckReport) -> str:
    if not report.valid:
        return ""
    parts = [
        counted(number, f"{channel.label} row") for channel in CHANNELS if (number := report.kinds.get(channel, 0))
    ]
    return f", from {' and '.join(parts)}"


def _column_lines(report: CheckReport) -> Iterator[str]:
    taken = [name if name == field else f"{name} as {field}" for field, name in report.columns.items()]
    yield from _names("columns", taken, lines=2)
    yield from _names("ignored", report.ignored_columns, lines=1, total=report.ignored_count)


def _names(label: str, names: Sequence[str], *, lines: int, total: int = 0) -> Sequence[str]:
    if not names:
        return ()
    total = max(total, len(names))
    return listed(label, names, lambda shown: f" and {total - shown:,} more", lines=lines)


def error_lines(report: CheckReport, room: int = _SCREEN) -> Iterator[str]:
    """Give each kind of error with its number of rows and its first examples.

    Args:
        report: the check.
        room: the most lines.
    """
    left = list(report.problems)
    # The last line counts the kinds that have no room.
    while left and len(block := list(_problem_lines(left[0]))) <= room - (len(left) > 1):
        yield from block
        room -= len(block)
        left.pop(0)
    if left:
        rows = sum(problem.rows for problem in left)
        yield f"{rows:>{_COUNT},}  in {counted(len(left), 'more kind')} of error; --json shows all"


def _problem_lines(problem: Problem) -> Iterator[str]:
    text = f"{problem.field}: {problem.problem}"
    indent = " " * (_COUNT + 2)
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=f"{problem.rows:>{_COUNT},}  ", subsequent_indent=indent, break_on_hyphens=False
    )
    if problem.lines:
        word = "line" if problem.rows == 1 else "lines"
        more = ", …" if problem.rows > len(problem.lines) else ""
        yield f"{indent}{word} {', '.join(map(str, problem.lines))}{more}"
