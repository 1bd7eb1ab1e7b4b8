"""`gatepost erase`: erase a person from all stored data."""

from typing import Annotated, Final

import typer

from gatepost_operations.cli.connection import read_settings
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import address_from, confirm, naming
from gatepost_operations.cli.options import AddressArgument, JsonOption, YesOption, command_app, examples
from gatepost_operations.cli.output import say, show
from gatepost_operations.formatting import counted
from gatepost_operations.maintenance.erasure import Erasure, ErasureResult

app = command_app()

_WORDS: Final = (
    ("operations", "operation"),
    ("rows", "row of a campaign", "rows of campaigns"),
    ("guest_lists", "guest list"),
    ("dead_letters", "dead letter"),
)


@app.command(
    epilog=examples("echo ana@example.com | gatepost erase - --yes", "gatepost erase - --dry-run < address.txt")
)
def erase(
    address: AddressArgument,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Change nothing, and show the counts.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Erase a person from all stored data.

    Cancels the person's operations that have not ended. Suppresses the person in campaigns that have not sent to the person yet. Campaigns
    keep their counts. The suppression list keeps a keyed hash of the address, so that no campaign sends to the person again.

    The command never prints the address. To keep the address out of the shell's history, give it on standard input.

    The exit code is 3 if something could not be erased, for example because an attempt is under way. Then run the command
    again.
    """
    with Erasure(read_settings()) as erasure, naming("address"):
        given = address_from(address)
        found = erasure.look(given)
        if not dry_run:
            confirm(f"Erase this person permanently: {_counts(found)}?", sure=yes)
            found = erasure.erase(given)
    document = {"dry_run": dry_run, "complete": found.complete, **found.as_json()}
    show(document, f"{'would erase' if dry_run else 'erased'}: {_counts(found)}", as_json=as_json)
    if not as_json:
        _say_rest(found)
    return ExitCode.DONE if found.complete else ExitCode.NOT_ACCEPTED


def _counts(found: ErasureResult) -> str:
    numbers = found.as_json()
    return ", ".join(counted(numbers[name], *words) for name, *words in _WORDS)


def _say_rest(found: ErasureResult) -> None:
    if found.cancelled or found.suppressed:
        say(f"{found.cancelled:,} of the operations and {found.suppressed:,} of the rows were open. They are not sent.")
    if found.exports:
        say(
            f"{counted(found.exports, 'export')} of these campaigns recorded; delete the files yourself. To see who made them: gatepost audit list --action campaign.export"
        )
    if found.in_flight:
        say(f"{counted(found.in_flight, 'attempt is', 'attempts are')} under way; run it again in a minute.")
    if found.unreadable:
        say(
            f"{counted(found.unreadable, 'value', 'values')} cannot be opened or searched. See gatepost keys status and gatepost dead-letters list, then run it again."
        )
