"""`gatepost campaign check`: check a file, and send nothing."""

from pathlib import Path
from typing import Annotated

import typer

from gatepost_operations.cli.campaign.check_text import check_lines
from gatepost_operations.cli.campaign.recipient_file import (
    FileArgument,
    FileOptions,
    open_recipient_file,
    rejects_beside,
)
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.options import ForceOption, JsonOption, grouped
from gatepost_operations.cli.output import say, show
from gatepost_operations.files.check import EXAMPLES
from gatepost_operations.files.output import is_written_directly
from gatepost_operations.files.rejects import is_untouched
from gatepost_operations.formatting import counted


@grouped
def check(
    file: FileArgument,
    *,
    reading: FileOptions,
    rejects: Annotated[
        Path | None,
        typer.Option(
            "--rejects",
            metavar="FILE",
            help="File for the invalid rows [default: NAME.rejects.csv or NAME.rejects.jsonl].",
        ),
    ] = None,
    no_rejects: Annotated[bool, typer.Option("--no-rejects", help="Write no file of invalid rows.")] = False,
    force: ForceOption = False,
    errors: Annotated[
        int,
        typer.Option("--errors", metavar="N", min=0, help="Maximum number of lines to show for each kind of error."),
    ] = EXAMPLES,
    as_json: JsonOption = False,
) -> ExitCode:
    """Check a whole file, and send nothing.

    Shows which column contains each field, how many rows are valid and invalid, and the first lines with each kind of error.

    Writes the invalid rows to a file. Correct the rows in that file. Then check and send it like any other file.

    The exit code is 0 if every row is valid, and 6 if not. This command needs no configuration.
    """
    with open_recipient_file(file, reading) as recipients:
        beside = rejects_beside(recipients, file)
        replaces = force or is_untouched(rejects or beside)
        # It may contain corrections, or be another program's.
        kept = not (rejects or no_rejects or replaces) and beside.exists()
        chosen = None if no_rejects or kept else rejects or beside
        report = recipients.check(rejects=chosen, replace_rejects=replaces, keep_examples=errors)
        written = chosen if report.invalid else None
        # Replaced by nothing: it would look like the result of this check.
        deleted = chosen is not None and not written and chosen.is_file() and not is_written_directly(chosen)
        if chosen and deleted:
            chosen.unlink()
    document = report.as_json() | {"file": recipients.name, "rejects": written and str(written)}
    show(document, *check_lines(report, recipients.name), as_json=as_json)
    if written and not as_json:
        say(
            f"{counted(report.invalid, 'invalid row')} in {written}. Correct {'it' if report.invalid == 1 else 'them'} there, and use that file too."
        )
    if rejects and chosen and not written and not as_json:
        say(f"There are no invalid rows, so {rejects} was {'deleted' if deleted else 'not written'}.")
    if kept and report.invalid and not as_json:
        say(
            f"{beside} exists already and was not changed, because it may contain corrections. To replace it, add --force."
        )
    return ExitCode.INVALID if report.invalid else ExitCode.DONE
