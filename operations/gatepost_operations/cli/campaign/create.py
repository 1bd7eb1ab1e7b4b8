"""`gatepost campaign create`, `add` and `start`: the three steps that `send` takes in one."""

import shlex
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from gatepost.campaigns.control import Added, Campaigns
from gatepost_core.campaigns.model import Campaign, Status
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.kinds import Channel
from gatepost_operations.cli.campaign.changes import status_change
from gatepost_operations.cli.campaign.check_text import error_lines
from gatepost_operations.cli.campaign.delivery_options import DeliveryOptions
from gatepost_operations.cli.campaign.lookup import CampaignArgument, open_campaign
from gatepost_operations.cli.campaign.notify import Notifier, NotifyOption, notifier_of
from gatepost_operations.cli.campaign.reach import AgainOption, RecentOptions, file_sent_by, refuse_sent_file
from gatepost_operations.cli.campaign.recipient_file import (
    FileArgument,
    FileOptions,
    RecipientFile,
    RowCounts,
    SkipInvalidOption,
    open_recipient_file,
)
from gatepost_operations.cli.campaign.watch import WatchOption, follow
from gatepost_operations.cli.connection import open_campaigns
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.given_command import same_command
from gatepost_operations.cli.options import JsonOption, grouped
from gatepost_operations.cli.output import say, show
from gatepost_operations.files.check import CheckReport
from gatepost_operations.formatting import counted
from gatepost_operations.planning.workers import START_WORKER, count_bulk_workers

_SENDS_AT_ONCE: Final = {Status.RUNNING, Status.FINISHED}


@grouped
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the campaign.")],
    *,
    delivery: DeliveryOptions,
    as_json: JsonOption = False,
) -> ExitCode:
    """Create a campaign as a draft, and print its id.

    Then add recipients with `gatepost campaign add`, and start the campaign with `gatepost campaign start`.
    """
    with open_campaigns() as campaigns:
        campaign_id = campaigns.create(name, delivery.options(Channel.AUTO), guest_list=delivery.guests())
        campaigns.names()
        created = campaigns.status(campaign_id)
        show(created.as_json(), campaign_id, as_json=as_json)
    if not as_json:
        if created.reference != name:
            say("Another campaign has this name. Use the id.")
        say(f"{created.reference} is a draft. To add recipients: gatepost campaign add {created.reference} FILE")
    return ExitCode.DONE


@grouped
def add(
    campaign: CampaignArgument,
    file: FileArgument,
    *,
    reading: FileOptions,
    recent: RecentOptions,
    skip_invalid: SkipInvalidOption = False,
    again: AgainOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Add the recipients of a file to a campaign.

    The whole file is checked first. If a row is invalid, nothing is added. With --skip-invalid, the valid rows are added.

    Recipients that the campaign already has are skipped. So you can run the command again after an interruption.

    If the campaign runs or has finished, workers send to the new recipients immediately.
    """
    with open_recipient_file(file, reading) as recipients, open_campaign(campaign) as (campaigns, found):
        if found.options.guests is None:
            sent_by = file_sent_by(campaigns, recipients.digest(), found.options.tenant, found.campaign_id)
            refuse_sent_file(sent_by, again=again)
        if not skip_invalid:
            refuse_invalid(recipients.check(), recipients)
        if found.status in _SENDS_AT_ONCE and not as_json:
            say(_sends_at_once(found))
        added, counts = add_rows(campaigns, found, recipients, recent)
    show(added_document(found.campaign_id, added, counts), added_text(added, counts), as_json=as_json)
    if not as_json:
        say(*_next_steps(found, added))
    return ExitCode.DONE


def _sends_at_once(found: Campaign) -> str:
    if found.status is Status.FINISHED:
        return f"The campaign {found.reference} was finished. It continues, and sends to new recipients at once."
    return f"The campaign {found.reference} is {found.status}. It sends to new recipients at once."


def _next_steps(before: Campaign, added: Added) -> Iterator[str]:
    name = before.reference
    match before.status:
        case Status.DRAFT:
            yield f"Nothing is sent yet. To start it: gatepost campaign start {name}"
        case Status.FINISHED if added.added:
            yield f"{name} runs again. To watch it: gatepost campaign watch {name}"
        case Status.FINISHED:
            yield f"{name} stays finished, because it had these recipients already."
        case Status.RUNNING:
            yield f"To watch it: gatepost campaign watch {name}"
        case Status.PAUSED:
            yield f"{name} is paused. To resume it: gatepost campaign resume {name}"
        case _:
            pass


def refuse_invalid(report: CheckReport, file: RecipientFile) -> None:
    """Refuse a file with invalid rows.

    Raises:
        InvalidCommand: some rows are invalid; the first of them are on stderr.
    """
    if not report.invalid:
        return
    say(*error_lines(report))
    command = shlex.join(["gatepost", "campaign", "check", *file.arguments])
    verb = "is" if report.invalid == 1 else "are"
    problem = f"{counted(report.invalid, 'row')} of {report.rows:,} {verb} not valid; see all: {command}; correct them, or skip them with --skip-invalid"
    raise InvalidCommand([FieldError(file.name, problem)])


def add_rows(
    campaigns: Campaigns,
    campaign: Campaign,
    file: RecipientFile,
    recent: RecentOptions,
) -> tuple[Added, RowCounts]:
    """Add a file's valid rows, on request without those whom other campaigns reached. After Ctrl-C, show the command that continues."""
    counts = RowCounts()
    rows = file.rows(counts, f"adding {file.name}")
    if recent.skip_recent:
        within, tenant = recent.within, campaign.options.tenant
        others = campaigns.sent_before.recent(within, tenant=tenant, besides=campaign.campaign_id)
        rows = others.without_accepted(rows)
    if (digest := file.digest()) is not None:
        campaigns.sent_before.note_file(campaign.campaign_id, digest)
    try:
        added = campaigns.add(campaign.campaign_id, rows)
    except KeyboardInterrupt:
        say("gatepost: interrupted; added recipients stay. To continue, run the command again:", f"  {same_command()}")
        raise
    return added, counts


def added_document(campaign_id: str, added: Added, counts: RowCounts) -> dict[str, Any]:
    """Return the counts of added rows as JSON values."""
    return {
        "campaign_id": campaign_id,
        "added": added.added,
        "duplicates": added.duplicates,
        "invalid": counts.invalid,
        "left_out": counts.valid - added.seen,
    }


def added_text(added: Added, counts: RowCounts) -> str:
    """Return the counts of added rows for people."""
    skipped = f", {counts.invalid:,} invalid skipped" if counts.invalid else ""
    left_out = counts.valid - added.seen
    recently = f", {left_out:,} sent to recently and left out" if left_out else ""
    return f"{added.added:,} added, {counted(added.duplicates, 'duplicate')}{skipped}{recently}"


def start(
    campaign: CampaignArgument, *, watch: WatchOption = False, notify: NotifyOption = None, as_json: JsonOption = False
) -> ExitCode:
    """Start a campaign that is a draft."""
    notifier = notifier_of(notify, watch=watch)
    with open_campaign(campaign) as (campaigns, found):
        started = campaigns.start(found.campaign_id)
        return report_started(campaigns, started, before=found, watch=watch, as_json=as_json, notifier=notifier)


def report_started(
    campaigns: Campaigns,
    campaign: Campaign,
    *,
    before: Campaign | None = None,
    watch: bool,
    as_json: bool,
    notifier: Notifier | None = None,
) -> ExitCode:
    """Watch a started campaign, or show how its status changed (if `before` is given) and the next step."""
    if watch:
        return follow(campaigns, campaign.campaign_id, as_json=as_json, notifier=notifier)
    if before is not None:
        show(campaign.as_json(), status_change(before, campaign), as_json=as_json)
    if campaign.open and count_bulk_workers(campaigns.settings) == 0:
        say(f"No worker accepts campaigns. To start one: {START_WORKER}")
    elif not as_json:
        say(f"To watch it: gatepost campaign watch {campaign.reference}")
    return ExitCode.DONE
