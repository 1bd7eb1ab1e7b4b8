"""`gatepost audit`: show the audit log, and verify that it was not changed."""

import json
from collections import deque
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gatepost_core.audit_log import Entry
from gatepost_operations.cli.connection import open_campaigns
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.formatting import in_zone
from gatepost_operations.cli.options import JsonOption, SinceOption, UntilOption, command_app, examples
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.cli.terminal import show_table
from gatepost_operations.cli.time_input import read_period

app = command_app()


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
        typer.Option("--action", metavar="NAME", help="Only actions that begin with this text, such as campaign."),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Maximum number of entries; the newest are shown.")
    ] = 100,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show the newest entries, the newest last."""
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
    if as_json:
        write_json({"entries": [_document(entry) for entry in entries]})
        return ExitCode.DONE
    show_table(("number", "at", "who", "action", "about"), map(_row, entries))
    return ExitCode.DONE


@app.command(epilog=examples("gatepost audit verify", "gatepost audit verify --expect-head 3f1c…"))
def verify(
    *,
    expect_head: Annotated[
        str | None,
        typer.Option(
            "--expect-head", metavar="HEX", help="A head from an earlier check. The log must still contain it."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Check that no entry was changed, removed or inserted.

    Prints the number of entries and the head, the digest of the last one, or "no entries". Note the head elsewhere, and give it with
    --expect-head later to detect a log that was cut off or deleted. Exit code 5 when the check fails.
    """
    with open_campaigns() as campaigns:
        found = campaigns.audit.verify(expect_head)
    if as_json:
        document: dict[str, Any] = {"intact": found.intact, "entries": found.entries, "head": found.head}
        write_json(document | {"broken_at": found.broken_at, "cut_off": found.cut_off})
    else:
        write(f"{found.entries} {found.head}" if found.entries or found.broken_at is not None else "no entries")
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


def _row(entry: Entry) -> tuple[str, ...]:
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in entry.about.items()
        if value is not None
    }
    about = " ".join(f"{name}={text}" for name, text in texts.items())
    return str(entry.number), in_zone(_moment(entry)), entry.who, entry.action, about


def _document(entry: Entry) -> dict[str, Any]:
    at = _moment(entry).isoformat()
    return {"number": entry.number, "at": at, "who": entry.who, "action": entry.action, "about": entry.about}
