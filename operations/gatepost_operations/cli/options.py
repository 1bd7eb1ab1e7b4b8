"""The options that several commands share, one by one or in groups, and the examples at the end of a command's help."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from gatepost_core.number_rules import Numbers
from gatepost_operations.cli.help_style import PlainCommand, PlainGroup

# Modules that declare options have no `from __future__ import annotations`: Typer reads the annotations as objects.

AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="E-mail address or phone number; - reads it from standard input.")
]
EmailArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="E-mail address; - reads it from standard input.")
]
PhoneArgument = Annotated[str, typer.Argument(metavar="NUMBER", help="Phone number; - reads it from standard input.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Name of a configured tenant [default: the first].")
]
AllTenantsOption = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Only this configured tenant [default: all].")
]
NumbersOption = Annotated[
    Numbers,
    typer.Option(
        "--numbers",
        help="Check phone numbers by their country's number plan (plan), or only by length (length).",
    ),
]
LandlinesOption = Annotated[
    bool, typer.Option("--allow-landlines", help="Accept phone numbers that cannot receive SMS.")
]
LanguageOption = Annotated[
    str | None, typer.Option("--language", metavar="TAG", help="Language of the message's template, such as pt-BR.")
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="MOMENT", help="Start: a time such as 2026-05-04T18:00+02:00, or 2d for two days ago."
    ),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="MOMENT", help="End, in the same form [default: now].")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", "-n", help="Change nothing, and show the counts.")]
DeadlineZoneOption = Annotated[
    str | None, typer.Option("--timezone", metavar="NAME", help="Time zone of the deadline, such as Europe/Berlin.")
]


class Missing(typer.BadParameter):
    """An option or argument is missing that the others make necessary. The exit code is that of wrong usage.

    Args:
        name: its name, as it is typed.
        way_out: the sentence's end: what to give.
    """

    def __init__(self, name: str, way_out: str) -> None:
        super().__init__(way_out, param_hint=name)

    def format_message(self) -> str:
        """Return the sentence."""
        return f"{self.param_hint} is missing; {self.message}"


class PlainApp(typer.Typer):
    """An app whose commands have plain help."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command."""
        return super().command(name, **{"cls": PlainCommand, **options})


def command_app() -> typer.Typer:
    """Return the app that a command or a noun registers with."""
    return PlainApp(cls=PlainGroup, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def examples(*lines: str) -> str:
    """Return the end of a command's help: how it is typed."""
    return _unwrapped("Example:" if len(lines) == 1 else "Examples:", lines)


def listed(title: str, *lines: str) -> str:
    """Return a list for a command's help, such as its exit codes. It precedes the examples."""
    return f"{_unwrapped(title, lines)}\n"


def _unwrapped(title: str, lines: Iterable[str]) -> str:
    # \b keeps the lines as they are.
    return "\n".join(["\b", title, *(f"  {line}" for line in lines), ""])


R = TypeVar("R")


def grouped(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command its options in groups.

    A parameter whose annotation is a dataclass becomes one option for each field, in the dataclass's order. The command gets an
    instance of the dataclass.
    """
    hints = inspect.get_annotations(command, eval_str=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        group = groups.get(parameter.name)
        if group is None:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
        else:
            parameters.extend(_parameter(field) for field in fields(group))

    @wraps(command)
    def with_groups(**given: Any) -> R:
        built = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        return command(**given, **built)

    # Typer reads these in place of the command's own.
    vars(with_groups)["__signature__"] = inspect.Signature(parameters, return_annotation=hints.get("return"))
    with_groups.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_groups


def _parameter(field: Field[Any]) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=field.type)
