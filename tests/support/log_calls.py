"""Every call in the sources that writes to a log, with its event, level and fields."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOTS: Final = ("core", "worker", "producer", "operations")
LEVELS: Final = ("debug", "info", "warning", "error", "critical", "exception", "log")
VARIED: Final = "varies"
"""The level of `log`, whose first argument is the level."""


@dataclass(frozen=True, slots=True)
class LogCall:
    """One call.

    Attributes:
        place: file and line.
        level: the method's name.
        event: the event; None if it is not written out.
        fields: the names of the fields.
        spread: whether further fields come from a mapping.
    """

    place: str
    level: str
    event: str | None
    fields: frozenset[str]
    spread: bool


def log_calls() -> Iterator[LogCall]:
    """Yield the calls on loggers in all packages that workers, producers and operators use."""
    for root in ROOTS:
        for path in sorted((CHECKOUT / root).rglob("*.py")):
            yield from calls_in(path.read_text(encoding="utf-8"), path)


def calls_in(text: str, path: Path) -> Iterator[LogCall]:
    """Yield the calls in one source file."""
    tree = ast.parse(text)
    loggers = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _makes_a_logger(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            on = node.func.value
            if (isinstance(on, ast.Name) and on.id in loggers) or _makes_a_logger(on):
                yield _read(node, node.func.attr, path)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "log_soon":
            yield _read(node, "info", path)


def _makes_a_logger(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in {"get_logger", "getLogger"}


def _read(node: ast.Call, level: str, path: Path) -> LogCall:
    arguments = node.args[1:] if level == "log" else node.args
    event = arguments[0].value if arguments and isinstance(arguments[0], ast.Constant) else None
    return LogCall(
        f"{path.relative_to(CHECKOUT)}:{node.lineno}",
        VARIED if level == "log" else level,
        event if isinstance(event, str) else None,
        frozenset(keyword.arg for keyword in node.keywords if keyword.arg),
        any(keyword.arg is None for keyword in node.keywords),
    )
