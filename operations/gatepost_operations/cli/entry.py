"""The command line: a group that loads each command when it runs, and turns errors into exit codes."""

from __future__ import annotations

import re
import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand
from typer.main import get_command

from gatepost_operations.cli.command_table import TABLE, Entry
from gatepost_operations.cli.exit_codes import ExitCode, exit_code_of_error
from gatepost_operations.cli.given_command import note_command
from gatepost_operations.cli.help_style import PlainGroup, without_exponents
from gatepost_operations.cli.options import examples
from gatepost_operations.cli.output import blames_options, say, show_error, write, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Asked:
    """The options that precede the command."""

    debug: bool = False


class LazyGroup(PlainGroup):
    """Lists commands from the table, and imports one when it is run or completed."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._entries = {entry.name: entry for entry in TABLE}
        for entry in TABLE:
            self.add_command(TyperCommand(entry.name, help=entry.summary), entry.name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is Typer's
        """Write the commands under their headings."""
        panels = dict.fromkeys(entry.panel for entry in TABLE)
        for panel in panels:
            with formatter.section(panel):
                formatter.write_dl([(entry.name, entry.summary) for entry in TABLE if entry.panel == panel])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that the arguments name, and load it."""
        name, found, rest = super().resolve_command(ctx, args)
        if name is None or found is None:
            return name, found, rest
        return name, load(self._entries[name]), rest


def load(entry: Entry) -> Any:
    """Import a command's module and return the command."""
    module, _, attribute = entry.where.partition(":")
    command = get_command(getattr(import_module(f"gatepost_operations.{module}"), attribute))
    command.name = entry.name
    return command


_EPILOG: Final = (
    examples("gatepost send-email ana@example.com --send link")
    + """
\b
Exit codes:
  0    done                        4    configuration or credentials
  1    unexpected                  5    refused, or paused
  2    usage                       6    invalid input
  3    ended, and not accepted     130  interrupted
"""
)
_UNPARSED: Final = re.compile(r", unable to parse string as an? \w+")

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: Typer's boxes import Markdown and a syntax highlighter, which takes longer than all the rest.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=_EPILOG,
)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - Typer calls it with the option's value
    if asked:
        # Not at the top: reading metadata costs more than showing the help.
        metadata = import_module("importlib.metadata")
        write(f"gatepost {metadata.version('gatepost')}")
        raise typer.Exit


@app.callback()
def _before_every_command(
    context: typer.Context,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    dev: Annotated[bool, typer.Option("--dev", help="Use the servers of the running `gatepost dev`.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Send Auth0 passwordless messages in bulk and verify logins in the background."""
    del version
    context.obj.debug = debug
    if dev:
        import_module("gatepost_operations.cli.dev_environment").use_running_dev()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Only the `SystemExit` of a closed pipe is raised.

    Args:
        arguments: the arguments after the program's name [default: those of the process].
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    note_command(given)
    as_json = "--json" in given
    asked = Asked()
    try:
        code = get_command(app).main(given, prog_name="gatepost", standalone_mode=False, obj=asked)
    except typer.TyperException as misuse:
        return _show_misuse(misuse, as_json=as_json)
    except typer.Abort:
        say("gatepost: no input.")
        return ExitCode.USAGE
    except Exception as error:  # noqa: BLE001 - the outermost frame: every error becomes one sentence
        code = ExitCode.USAGE if blames_options(error, given) else exit_code_of_error(error)
        if asked.debug:
            say(*traceback.format_exc().rstrip("\n").split("\n"))
        show_error(error, code, as_json=as_json, options=given)
    return int(code or ExitCode.DONE)


def _show_misuse(misuse: typer.TyperException, *, as_json: bool) -> int:
    command = getattr(getattr(misuse, "ctx", None), "command_path", "gatepost")
    # Typer's words for a wrong value are those of pydantic.
    problem = misuse.format_message().replace("Value error, ", "").replace("Input should be", "must be")
    problem = without_exponents(_UNPARSED.sub("", problem)).replace("greater than or equal to", "at least")
    problem = problem.replace("less than or equal to", "at most").replace("a valid integer", "a whole number")
    if as_json:
        message = {"type": "UsageError", "message": problem, "exit_code": misuse.exit_code}
        write_json({"error": message})
    elif problem:
        say(f"{command}: {problem}{'' if problem.endswith(('.', '?')) else '.'} Try: {command} --help")
    return misuse.exit_code
