"""`gatepost audit`: show the audit log, and verify that it was not changed."""

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from gatepost_core.audit_log import Entry, Verification
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_operations.cli.connection import open_campaigns
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.options import JsonOption, SinceOption, UntilOption, command_app, examples
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.cli.time_input import read_period
from gatepost_operations.formatting import counted, in_zone
from gatepost_operations.maintenance.audit_text import facts_of

app = command_app()

_MOST_NAMES: Final = 1000
_HEAD: Final = re.compile("[0-9a-f]{64}").fullmatch


@app.callback(epilog=examples("gatepost audit list --since 2d", "gatepost audit verify"))
def audit() -> None:
    """Show and verify the audit log."""


@app.command(
    "list",
    epilog=examples(
        "gatepost audit list --since 2d",
        "gatepost audit list --action campaign.export",
        "gatepost audit list --json | jq '.entries[] | select(.who != \"deploy\")'",
    ),
)
def list_entries(
    *,
    action: Annotated[
        str | None,
        typer.Option(
            "--action", metavar="NAME", help="Only actions whose name begins with this text, such as campaign."
        ),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Maximum number of entries. Older entries are left out.")
    ] = 100,
    as_json: JsonOption = False,
) -> ExitCode:
    """List the latest entries, in chronological order."""
    first, last = read_period(since, until)
    with open_campaigns() as campaigns:
        found = (
            entry
            for entry in campaigns.audit.entries()
            if entry.action.startswith(action or "")
            and (first is None or _moment(entry) >= first)
            and (last is None or _moment(entry) <= last)
        )
        entries = deque(found, maxlen=limit)
        names = {one.campaign_id: one.reference for one in campaigns.list(_MOST_NAMES)}
    if as_json:
        write_json({"entries": [entry.as_json() for entry in entries]})
    elif entries:
        write(*_lines(entries, names))
    else:
        say("The log has no such entries." if action or since or until else "The log has no entries.")
    return ExitCode.DONE


@app.command(epilog=examples("gatepost audit verify", "gatepost audit verify --expect-head $HEAD"))
def verify(
    *,
    expect_head: Annotated[
        str | None,
        typer.Option(
            "--expect-head", metavar="HEX", help="Head that an earlier check printed. The log must still contain it."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Check that no entry was changed, removed or inserted.

    Prints whether the log is intact, the number of entries, and the head. The head is the digest of the last entry. Store the head outside
    Redis, and give it to the next check with --expect-head. That check then also detects that the end of the log was removed.

    The exit code is 5 if the check fails.
    """
    if expect_head is not None and not _HEAD(expect_head):
        raise InvalidCommand(
            [FieldError("expect-head", "is not a head; copy all 64 digits that `audit verify` printed")]
        )
    with open_campaigns() as campaigns:
        found = campaigns.audit.verify(expect_head)
    if as_json:
        document: dict[str, Any] = {"intact": found.intact, "entries": found.entries, "head": found.head}
        write_json(document | {"broken_at": found.broken_at, "cut_off": found.cut_off})
    else:
        write(*_verified(found))
        if found.broken_at is not None:
            say(f"gatepost: entry {found.broken_at} was changed, or does not follow the entry before it.")
        elif found.cut_off and not found.entries:
            say(
                "gatepost: the log has no entries, but a head was expected: the log was deleted, or this is another log."
            )
        elif found.cut_off:
            say("gatepost: the expected head is not in the log: its end was cut off, or it is another log.")
    return ExitCode.DONE if found.intact else ExitCode.REFUSED


def _moment(entry: Entry) -> datetime:
    return datetime.fromtimestamp(entry.at_ms / 1000, UTC)


def _verified(found: Verification) -> Iterator[str]:
    if not found.entries and found.broken_at is None:
        yield "no entries"
        return
    yield f"{'intact' if found.intact else 'NOT INTACT'}, {counted(found.entries, 'entry', 'entries')}"
    yield f"head {found.head}"


def _lines(entries: Collection[Entry], names: Mapping[str, str]) -> Iterator[str]:
    number, who, action = (
        max(len(str(getattr(entry, field))) for entry in entries) for field in ("number", "who", "action")
    )
    for entry in entries:
        about = ", ".join(facts_of(entry.about, names))
        at = in_zone(_moment(entry))
        yield f"{entry.number:>{number}}  {at}  {entry.who:<{who}}  {entry.action:<{action}}  {about}".rstrip()
