"""Commands as an operator can type them: the one that runs, and others with the same options."""

from __future__ import annotations

import shlex
from contextvars import ContextVar
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from typer.models import OptionInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GIVEN: Final[ContextVar[Sequence[str]]] = ContextVar("given", default=())


def note_command(arguments: Sequence[str]) -> None:
    """Note the arguments of the command that runs."""
    _GIVEN.set(tuple(arguments))


def same_command() -> str:
    """Return the command that runs, quoted for a shell."""
    return shlex.join(["gatepost", *_GIVEN.get()])


def arguments_of(group: Any) -> list[str]:
    """Return the options of a group that differ from their defaults, as arguments.

    Args:
        group: an instance of a dataclass whose fields are options.
    """
    hints = get_type_hints(type(group), include_extras=True)
    found: list[str] = []
    for field in fields(group):
        value = getattr(group, field.name)
        default = None if field.default is MISSING else field.default
        if value != default and value is not None:
            option = next(one for one in hints[field.name].__metadata__ if isinstance(one, OptionInfo))
            found.extend(_arguments(_name_of(option), value))
    return found


def _name_of(option: OptionInfo) -> str:
    # In an annotation, Typer takes the first name for the default.
    names = [option.default, *(option.param_decls or ())]
    return next(name for name in names if isinstance(name, str) and name.startswith("--"))


def _arguments(name: str, value: Any) -> Iterator[str]:
    match value:
        case bool():
            on, _, off = name.partition("/")
            yield on if value else off
        case list():
            for one in value:
                yield from (name, str(one))
        case _:
            yield from (name, str(value))
