"""The options that several commands share, and the examples at the end of a command's help."""

from typing import Annotated

import typer

# No `from __future__ import annotations` in modules that declare options: Typer reads the annotations when it builds them.

AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="The e-mail address or phone number; - reads it from standard input.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="A configured tenant [default: the first].")
]
LanguageOption = Annotated[
    str | None, typer.Option("--language", metavar="TAG", help="Language of the message's template, such as pt-BR.")
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="MOMENT", help="Start: 2026-05-04T18:00+02:00, or a duration ago: 90m, 2d."),
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="MOMENT", help="End, in the same form.")]


def command_app() -> typer.Typer:
    """Return the app that a command or a noun registers with."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def examples(*lines: str) -> str:
    """Return the end of a command's help: how it is typed."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    # \b keeps the lines as they are.
    return "\n".join(["\b", title, *(f"  {line}" for line in lines), ""])
