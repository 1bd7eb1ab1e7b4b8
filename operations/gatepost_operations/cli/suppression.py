"""`gatepost suppression`: the list of people to whom no campaign sends."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from gatepost.campaigns.suppression import SuppressionReason
from gatepost_operations.cli.campaign.create import refuse_invalid
from gatepost_operations.cli.campaign.recipient_file import (
    FileArgument,
    FileOptions,
    ListFileOptions,
    RowCounts,
    SkipInvalidOption,
    open_recipient_file,
)
from gatepost_operations.cli.connection import open_campaigns
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import address_from, naming
from gatepost_operations.cli.options import AddressArgument, JsonOption, command_app, examples, grouped
from gatepost_operations.cli.output import say, show
from gatepost_operations.cli.time_input import read_moment
from gatepost_operations.formatting import in_zone

app = command_app()

ReasonOption = Annotated[SuppressionReason, typer.Option("--reason", help="Reason of the entry.")]
ExpiresOption = Annotated[
    str | None,
    typer.Option(
        "--expires",
        metavar="MOMENT",
        help="End of the entry: a time such as 2027-01-01T00:00Z, or 90d for 90 days from now [default: never].",
    ),
]


@app.callback(
    epilog=examples(
        "gatepost suppression add ana@example.com --reason unsubscribed",
        "gatepost suppression import bounces.csv --reason bounced",
    )
)
def suppression() -> None:
    """Manage the suppression list.

    No campaign sends to the people on this list. The list contains keyed hashes of addresses, not the addresses.

    Workers check the list when they take a batch of recipients, and about every 10 s while they send the batch.
    """


@app.command(
    epilog=examples(
        "gatepost suppression add ana@example.com --reason unsubscribed",
        "echo +34600000001 | gatepost suppression add - --expires 90d",
    )
)
def add(
    address: AddressArgument,
    *,
    reason: ReasonOption = SuppressionReason.MANUAL,
    expires: ExpiresOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Add a person to the list, or change the entry."""
    expires_at = read_moment(expires, "expires", now=datetime.now(UTC), zone_option=False, ahead=True)
    with open_campaigns() as campaigns, naming("address"):
        person = address_from(address)
        before = campaigns.suppressions.find(person)
        new = campaigns.suppressions.add(person, reason, expires_at=expires_at)
    document = {"new": new, "reason": reason, "expires_at": expires_at and expires_at.isoformat()}
    entry = _entry_text(reason, expires_at)
    old = f"{_entry_text(before.reason, before.expires_at)} → " if before and not new else ""
    show(document, f"{'added' if new else 'changed'}: {old}{entry}", as_json=as_json)
    return ExitCode.DONE


@app.command(epilog=examples("gatepost suppression remove ana@example.com"))
def remove(address: AddressArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Remove a person from the list."""
    with open_campaigns() as campaigns, naming("address"):
        person = address_from(address)
        before = campaigns.suppressions.find(person)
        removed = campaigns.suppressions.remove(person)
    entry = f": {_entry_text(before.reason, before.expires_at)}" if before else ""
    show({"removed": removed}, f"removed{entry}" if removed else "not on the list; nothing changed", as_json=as_json)
    return ExitCode.DONE


def _entry_text(reason: SuppressionReason, expires_at: datetime | None) -> str:
    return f"{reason.value}, {f'until {in_zone(expires_at)}' if expires_at else 'without end'}"


@app.command("show", epilog=examples("gatepost suppression show ana@example.com"))
def show_entry(address: AddressArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Show a person's entry on the list."""
    with open_campaigns() as campaigns, naming("address"):
        found = campaigns.suppressions.find(address_from(address))
    expires = found and found.expires_at and found.expires_at.isoformat()
    document = {"suppressed": found is not None, "reason": found and found.reason.value, "expires_at": expires}
    text = "not on the list"
    if found is not None:
        until = f", until {in_zone(found.expires_at)}" if found.expires_at else ""
        text = f"{found.reason.value}, since {in_zone(found.created_at)}{until}"
    show(document, text, as_json=as_json)
    return ExitCode.DONE


@app.command(
    "import",
    epilog=examples("gatepost suppression import bounces.csv --reason bounced --expires 180d"),
)
@grouped
def import_file(
    file: FileArgument,
    *,
    reading: ListFileOptions,
    reason: ReasonOption = SuppressionReason.MANUAL,
    expires: ExpiresOption = None,
    skip_invalid: SkipInvalidOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Add all people in a file of recipients to the list."""
    expires_at = read_moment(expires, "expires", now=datetime.now(UTC), zone_option=False, ahead=True)
    counts = RowCounts()
    with (
        open_recipient_file(file, FileOptions(**vars(reading), allow_landlines=True)) as recipients,
        open_campaigns() as campaigns,
    ):
        if not skip_invalid:
            refuse_invalid(recipients.check(), recipients)
        rows = recipients.rows(counts, f"suppressing {recipients.name}")
        new = campaigns.suppressions.import_rows(rows, reason, expires_at=expires_at)
    skipped = f", {counts.invalid:,} invalid skipped" if counts.invalid else ""
    text = f"{new:,} new, {counts.valid - new:,} already on the list{skipped}"
    show({"new": new, "rows": counts.valid, "invalid": counts.invalid}, text, as_json=as_json)
    return ExitCode.DONE


@app.command("count", epilog=examples("gatepost suppression count"))
def count_entries(*, as_json: JsonOption = False) -> ExitCode:
    """Show the number of entries on the list."""
    with open_campaigns() as campaigns:
        number = len(campaigns.suppressions)
    show({"count": number}, f"{number:,}", as_json=as_json)
    if not as_json:
        say("Expired entries count until they are changed or removed.")
    return ExitCode.DONE
