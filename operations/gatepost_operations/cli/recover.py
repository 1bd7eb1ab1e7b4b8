"""`gatepost recover`: make a restored backup of Redis safe before workers start."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_operations.cli.connection import read_settings
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import confirm
from gatepost_operations.cli.options import DryRunOption, JsonOption, YesOption, command_app, examples
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.cli.time_input import read_past_moment
from gatepost_operations.formatting import counted, in_zone
from gatepost_operations.maintenance.recovery import Recovery, RecoveryResult

app = command_app()


@app.command(
    epilog=examples(
        "gatepost recover --backup-of 2026-05-04T03:00+02:00 --dry-run",
        "gatepost recover --backup-of 2026-05-04T03:00+02:00",
    )
)
def recover(
    *,
    backup_of: Annotated[
        str,
        typer.Option(
            "--backup-of",
            metavar="MOMENT",
            help="Time of the backup, such as 2026-05-04T03:00+02:00, or 8h for eight hours ago.",
        ),
    ],
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="ID",
            help="Id of a campaign that sent nothing after the backup. It is paused, but its recipients stay queued; repeatable.",
        ),
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Make a restored backup safe before workers start.

    Stop all workers first.

    The backup does not show which messages were sent after the time of the backup. So this command pauses the campaigns that have not
    ended. Recipients, sends and logins without a final state become unknown. Sends and
    logins that programs in other languages have put on the queue become dead letters.

    A second run for the same backup changes nothing. The exit code is 3 if operations cannot be read.
    """
    now = datetime.now(UTC)
    moment = read_past_moment(backup_of, "backup-of", now=now)
    if moment is None or moment > now:
        raise InvalidCommand([FieldError("backup-of", "must be in the past")])
    with Recovery(read_settings()) as recovery:
        found = recovery.look(moment, keep or ())
        if not dry_run and not found.already:
            confirm(f"Recover the backup of {in_zone(moment)}: {_counts(found)}?", sure=yes)
            found = recovery.run(moment, keep or ())
    if as_json:
        write_json({"backup_of": moment.isoformat(), "dry_run": dry_run, **found.as_json()})
    else:
        _show(found, moment, dry_run=dry_run)
    return ExitCode.NOT_ACCEPTED if found.unreadable else ExitCode.DONE


def _show(found: RecoveryResult, moment: datetime, *, dry_run: bool) -> None:
    if found.already:
        write(f"the backup of {in_zone(moment)} was recovered before; nothing was changed")
        return
    write(f"{'would change' if dry_run else 'changed'}: {_counts(found)}")
    if found.kept:
        say(f"The recipients of {counted(found.kept, 'campaign')} stay queued.")
    if found.unreadable:
        say(f"These operations cannot be read; delete their keys before workers start: {', '.join(found.unreadable)}")
    if not dry_run:
        say("Start the workers, then decide for each campaign: gatepost campaign list")


def _counts(found: RecoveryResult) -> str:
    return ", ".join(
        (
            f"{counted(found.campaigns, 'campaign')} paused with {counted(found.recipients, 'recipient')} unknown",
            f"{counted(found.operations, 'operation')} unknown",
            f"{counted(found.submissions, 'submission')} to the dead letters",
        )
    )
