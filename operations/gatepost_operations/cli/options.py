"""The options that several commands share, and how a command's examples are shown."""

from typing import Annotated

import typer

# No `from __future__ import annotations` in modules that declare options: Typer reads the annotations when it builds them.

AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="The e-mail address or phone number; - reads it from standard input.")
]
OperationArgument = Annotated[str, typer.Argument(metavar="OPERATION", help="The operation's id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="A configured tenant; the first one when absent.")
]
LanguageOption = Annotated[
    str | None, typer.Option("--language", metavar="TAG", help="Language of the message's template, such as pt-BR.")
]
ClientIpOption = Annotated[
    str | None, typer.Option("--client-ip", metavar="IP", help="The person's IP address, for attack protection.")
]
DeadlineOption = Annotated[
    float | None,
    typer.Option("--deadline", metavar="SECONDS", min=0.001, help="Attempt nothing later than this from now."),
]
IdempotencyKeyOption = Annotated[
    str | None,
    typer.Option("--idempotency-key", metavar="KEY", help="The same key gives the same operation, never a second."),
]
ExtraOption = Annotated[
    str | None, typer.Option("--extra", metavar="JSON|@FILE", help="Further fields of the request's body.")
]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the operation's end.")]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to wait; the operation goes on after it.")
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="MOMENT", help="From here on: 2026-05-04T18:00+02:00, or so long ago: 90m, 2d."),
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="MOMENT", help="Up to here; likewise.")]


def command_app() -> typer.Typer:
    """Return the app that a command or a noun registers with."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def examples(*lines: str) -> str:
    """Return the end of a command's help: how it is typed."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    # \b keeps the lines as they are.
    return "\n".join(["\b", title, *(f"  {line}" for line in lines), ""])
