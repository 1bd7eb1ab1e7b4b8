"""`gatepost campaign plan`: forecast the campaign of a file, and send nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from gatepost.campaigns.control import Campaigns
from gatepost_core.blocks import ACCEPT_OPERATIONS
from gatepost_core.campaigns.model import Campaign, Options
from gatepost_core.errors import GatepostError
from gatepost_core.kinds import Endpoint
from gatepost_core.settings import Settings
from gatepost_operations.cli.campaign.check_text import file_lines
from gatepost_operations.cli.campaign.delivery_options import DeliveryOptions
from gatepost_operations.cli.campaign.lines import labelled
from gatepost_operations.cli.campaign.plan_text import plan_lines
from gatepost_operations.cli.campaign.reach import (
    RecentOptions,
    count_reach,
    file_sent_by,
    name_of,
    recently_sent,
)
from gatepost_operations.cli.campaign.recipient_file import (
    FileArgument,
    FileOptions,
    RecipientFile,
    open_recipient_file,
)
from gatepost_operations.cli.campaign.text import block_lines, sum_lines
from gatepost_operations.cli.connection import open_campaigns
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.limiter import open_limiter
from gatepost_operations.cli.options import JsonOption, grouped
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.files.check import CheckReport
from gatepost_operations.planning.campaign_plan import beside
from gatepost_operations.planning.plan import Plan, Skipped, plan
from gatepost_operations.planning.tenant_quota import TenantQuota


@grouped
def plan_command(
    file: FileArgument,
    *,
    reading: FileOptions,
    delivery: DeliveryOptions,
    recent: RecentOptions,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not call Auth0. Use only a quota that the workers have learned.")
    ] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show how long a campaign would take, and send nothing.

    Estimates when the campaign would finish. Shows how many rows would be skipped, and how many recipients are already accepted in another
    recent campaign.

    The estimate uses the quota that the workers have learned. If they have not learned it yet, this command learns it
    from the answer to an invalid request. Auth0 sends nothing.

    If the counts of another campaign that is running do not add up, the exit code is 1 (see `gatepost campaign recount`).
    """
    with open_recipient_file(file, reading) as recipients, open_campaigns() as campaigns:
        options = delivery.options(reading.channel)
        report = recipients.check()
        quota, failure = known_quota(campaigns.settings, options.tenant, offline=offline)
        asked = Asked(options, recent, guests=delivery.guests(reading))
        made = planned(campaigns, recipients, report, asked, quota=quota)
        if as_json:
            document = made.as_json() | {"file": recipients.name, "rows": report.rows, "kinds": dict(report.kinds)}
            write_json(document | {"regions": dict(report.regions), "quota_failure": failure})
        else:
            write(*plan_of_file(made, report, recipients.name, options, delivery.timezone))
            if failure:
                say(f"quota: {failure}")
        sound = all(one.adds_up for one in beside(campaigns, options))
    return ExitCode.DONE if sound else ExitCode.UNEXPECTED


def plan_of_file(made: Plan, report: CheckReport, name: str, options: Options, timezone: str | None) -> list[str]:
    """Return a plan for people, line by line. Without sending hours, times are in the given timezone."""
    lines = plan_lines(made, options.hours, datetime.now(UTC), timezone)
    sent_to = labelled("sent to", f"{made.recipients:,}") if made.recipients != report.recipients else ()
    return [*file_lines(report, name), *sent_to, *lines]


def known_quota(settings: Settings, tenant: str | None, *, offline: bool) -> tuple[TenantQuota | None, str | None]:
    """Return the quota of a tenant's starts, and why it cannot be read."""
    try:
        with open_limiter(settings) as limiter:
            quotas, failures = limiter.read(settings.tenant_name(tenant), [Endpoint.START], probing=not offline)
    except GatepostError as failure:
        return None, str(failure)
    return quotas[0], next(iter(failures), None)


@dataclass(frozen=True)
class Asked:
    """The options of a plan.

    Attributes:
        options: the campaign's options.
        recent: how other campaigns count.
        guests: the guest list, in clear; None for no list.
        campaign: the campaign that the file is added to; None if it is new.
    """

    options: Options
    recent: RecentOptions
    guests: list[str] | None = None
    campaign: Campaign | None = None


def planned(
    campaigns: Campaigns, file: RecipientFile, report: CheckReport, asked: Asked, *, quota: TenantQuota | None
) -> Plan:
    """Plan a checked file: count the recipients that are left out, and estimate the time for the others."""
    options, own_id = asked.options, asked.campaign.campaign_id if asked.campaign else ""
    if asked.campaign is None:
        options.require_ahead(campaigns.store.now(own_id))
    campaigns.names()
    recent = campaigns.sent_before.recent(asked.recent.within, tenant=options.tenant, besides=own_id)
    reach = count_reach(campaigns, file, asked.guests, recent)
    skipped = Skipped(
        invalid=report.invalid,
        duplicates=report.duplicates,
        suppressed=reach.suppressed,
        not_guests=reach.not_guests,
        recent=reach.reached if asked.recent.skip_recent else 0,
    )
    sent_by = file_sent_by(campaigns, file.digest(), options.tenant, own_id)
    others = [one for one in beside(campaigns, options) if one.campaign_id != own_id]
    tenant = campaigns.settings.tenant_name(options.tenant)
    rivals = [one for one in others if one.options.tenant == tenant]
    own = campaigns.block_of_tenant(options.tenant)
    return plan(
        report.recipients - skipped.recipients,
        options,
        quota,
        datetime.now(UTC),
        skipped=skipped,
        others=[one.open for one in rivals if one.options.rate is None and not one.blocks],
        running=len(rivals),
        recent=recently_sent(recent, asked.recent, reach.reached),
        file_sent_by=[name_of(one) for one in sent_by],
        blocks=[f"No finish time can be estimated. {own.sentence(ACCEPT_OPERATIONS)}"] if own else (),
        others_blocked=[f"{name_of(one)}: {line}" for one in others for line in (*sum_lines(one), *block_lines(one))],
    )
