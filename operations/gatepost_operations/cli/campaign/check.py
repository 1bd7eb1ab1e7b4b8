"""`gatepost campaign check` and `plan`: check a file, and forecast its campaign. Neither sends anything."""

from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gatepost.campaigns.control import Campaigns
from gatepost_core.blocks import ACCEPT_OPERATIONS
from gatepost_core.campaigns.model import SHORT_ID, Campaign, Options, Status
from gatepost_core.campaigns.row import Row
from gatepost_core.errors import GatepostError
from gatepost_core.identifiers import normalise_recipient
from gatepost_core.kinds import Endpoint
from gatepost_core.settings import Settings
from gatepost_operations.cli.campaign.delivery_options import DeliveryOptions
from gatepost_operations.cli.campaign.recipient_file import (
    FileArgument,
    FileOptions,
    RecipientFile,
    RowCounts,
    open_recipient_file,
    rejects_beside,
)
from gatepost_operations.cli.campaign.text import block_lines, check_lines, error_lines, plan_lines, sum_lines
from gatepost_operations.cli.connection import open_campaigns
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.formatting import counted
from gatepost_operations.cli.limiter import open_limiter
from gatepost_operations.cli.options import ForceOption, JsonOption, grouped
from gatepost_operations.cli.output import say, show, write, write_json
from gatepost_operations.files.check import CheckReport
from gatepost_operations.files.duplicates import DuplicateFinder
from gatepost_operations.planning.plan import Plan, Skipped, plan
from gatepost_operations.planning.tenant_quota import TenantQuota


@grouped
def check(
    file: FileArgument,
    *,
    reading: FileOptions,
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", metavar="FILE", help="File for invalid rows [default: NAME.rejects.csv or .jsonl]."),
    ] = None,
    no_rejects: Annotated[bool, typer.Option("--no-rejects", help="Write no file of invalid rows.")] = False,
    force: ForceOption = False,
    errors: Annotated[int, typer.Option("--errors", metavar="N", min=0, help="Number of invalid rows to show.")] = 20,
    as_json: JsonOption = False,
) -> ExitCode:
    """Check a whole file, and send nothing.

    Shows counts and the first invalid rows, and writes all invalid rows to a file that you can correct and read again. Exit code 0
    when every row is valid, 6 when not. Needs no configuration.
    """
    with open_recipient_file(file, reading) as recipients:
        beside = rejects_beside(recipients, file)
        # It may hold corrections.
        kept = not (rejects or no_rejects or force) and beside.exists()
        chosen = None if no_rejects or kept else rejects or beside
        report = recipients.check(rejects=chosen, replace_rejects=force, keep_errors=errors)
        if chosen == beside and rejects is None and not report.invalid:
            beside.unlink(missing_ok=True)
        written = chosen if report.invalid else None
    lines = (*check_lines(report, recipients.name), *error_lines(report))
    show(check_document(report, recipients.name, written), *lines, as_json=as_json)
    if written and not as_json:
        say(f"{counted(report.invalid, 'invalid row')} in {written}. Correct them, and read that file too.")
    if kept and report.invalid and not as_json:
        say(
            f"{beside} exists already and was not changed, because it may hold corrections. To replace it, add --force."
        )
    return ExitCode.INVALID if report.invalid else ExitCode.DONE


def check_document(report: CheckReport, name: str, rejects: Path | None) -> dict[str, Any]:
    """Return a check's report as JSON values. They contain no recipient."""
    document = asdict(report) | {"file": name, "recipients": report.recipients, "rejects": rejects and str(rejects)}
    del document["name"]
    return document


@grouped
def plan_command(
    file: FileArgument,
    *,
    reading: FileOptions,
    delivery: DeliveryOptions,
    offline: Annotated[bool, typer.Option("--offline", help="Do not call Auth0; use only the learned quota.")] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show how long a campaign would take, and send nothing.

    Counts recipients and countries, shows who would be skipped, and estimates the finish time from the learned quota. If no quota is known,
    one request that Auth0 refuses reads it. It sends no message.
    """
    with open_recipient_file(file, reading) as recipients, open_campaigns() as campaigns:
        options = delivery.options(reading.channel)
        report = recipients.check()
        quota, failure = known_quota(campaigns.settings, options.tenant, offline=offline)
        made = planned(campaigns, recipients, report, options, guests=delivery.guests(reading), quota=quota)
        if as_json:
            document = made.as_json() | {"file": recipients.name, "rows": report.rows, "kinds": dict(report.kinds)}
            write_json(document | {"regions": dict(report.regions), "quota_failure": failure})
        else:
            write(*plan_of_file(made, report, recipients.name, options))
            if failure:
                say(f"quota: {failure}")
        sound = all(one.adds_up for one in _beside(campaigns, options))
    return ExitCode.DONE if sound else ExitCode.UNEXPECTED


def plan_of_file(made: Plan, report: CheckReport, name: str, options: Options) -> list[str]:
    """Return a plan for people, line by line."""
    lines = plan_lines(made, options.hours, datetime.now(UTC))
    sent_to = [f"{'sent to':<12}{made.recipients:,}"] if made.recipients != report.recipients else []
    return [*check_lines(report, name), *sent_to, *lines]


def known_quota(settings: Settings, tenant: str | None, *, offline: bool) -> tuple[TenantQuota | None, str | None]:
    """Return the quota of a tenant's starts, and why it cannot be read."""
    try:
        with open_limiter(settings) as limiter:
            quotas, failures = limiter.read(settings.tenant_name(tenant), [Endpoint.START], probing=not offline)
    except GatepostError as failure:
        return None, str(failure)
    return quotas[0], next(iter(failures), None)


def planned(
    campaigns: Campaigns,
    file: RecipientFile,
    report: CheckReport,
    options: Options,
    *,
    guests: list[str] | None,
    quota: TenantQuota | None,
) -> Plan:
    """Plan a checked file: count the recipients that the lists leave out, and estimate the time for the others."""
    suppressed = not_guests = 0
    if guests is not None or len(campaigns.suppressions):
        suppressed, not_guests = _left_out(campaigns, file, guests)
    skipped = Skipped(
        invalid=report.invalid, duplicates=report.duplicates, suppressed=suppressed, not_guests=not_guests
    )
    campaigns.names()
    running = _beside(campaigns, options)
    sent_to = report.recipients - suppressed - not_guests
    own = campaigns.block_of_tenant(options.tenant)
    return plan(
        sent_to,
        options,
        quota,
        datetime.now(UTC),
        skipped=skipped,
        running=len(running),
        blocks=[f"No finish time can be estimated. {own.sentence(ACCEPT_OPERATIONS)}"] if own else (),
        others_blocked=[
            f"{one.name} ({one.campaign_id[:SHORT_ID]}): {line}"
            for one in running
            for line in (*sum_lines(one), *block_lines(one))
        ],
    )


def _beside(campaigns: Campaigns, options: Options) -> list[Campaign]:
    return [
        one
        for one in campaigns.list()
        if one.status is Status.RUNNING and (one.options.tenant == options.tenant or options.tenant is None)
    ]


def _left_out(campaigns: Campaigns, file: RecipientFile, guests: Collection[str] | None) -> tuple[int, int]:
    invited = None if guests is None else {normalise_recipient(guest) for guest in guests}
    counts = {"suppressed": 0, "not_guests": 0}

    def among_guests(rows: Iterable[Row]) -> Iterable[str]:
        seen = DuplicateFinder()
        for row in rows:
            if not seen.add(row.recipient):
                continue
            if invited is not None and row.recipient not in invited:
                counts["not_guests"] += 1
            else:
                yield row.recipient

    rows = file.rows(RowCounts(), f"checking {file.name} against the lists")
    counts["suppressed"] = campaigns.suppressions.count_among(among_guests(rows))
    return counts["suppressed"], counts["not_guests"]
