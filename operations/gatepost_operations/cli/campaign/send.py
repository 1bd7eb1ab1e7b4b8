"""`gatepost campaign send`: check, create, add, start and watch in one step. A second run continues the campaign."""

import sys
import uuid
from typing import Annotated, Final

import typer

from gatepost.campaigns.control import Campaigns
from gatepost.producer import Producer
from gatepost_core.campaigns.model import Campaign, Options, Status, check_name
from gatepost_core.errors import CampaignConflict, CampaignNotFound, InvalidCommand
from gatepost_core.settings import Settings
from gatepost_operations.cli.campaign.create import add_rows, added_document, added_text, refuse_invalid, report_started
from gatepost_operations.cli.campaign.delivery_options import DeliveryOptions
from gatepost_operations.cli.campaign.notify import Notifier, NotifyOption, notifier_of
from gatepost_operations.cli.campaign.plan import Asked, known_quota, plan_of_file, planned
from gatepost_operations.cli.campaign.progress import Events
from gatepost_operations.cli.campaign.reach import AgainOption, RecentOptions, file_sent_by, refuse_sent_file
from gatepost_operations.cli.campaign.recipient_file import (
    FileArgument,
    FileOptions,
    RecipientFile,
    SkipInvalidOption,
    open_recipient_file,
)
from gatepost_operations.cli.campaign.sample import sample_lines, send_samples
from gatepost_operations.cli.connection import open_campaigns
from gatepost_operations.cli.exit_codes import ExitCode, Refused
from gatepost_operations.cli.inputs import choose
from gatepost_operations.cli.options import grouped
from gatepost_operations.cli.output import is_terminal, say, write
from gatepost_operations.files.spool import is_read_once
from gatepost_operations.files.text_reader import STANDARD_INPUT, FileError, stem_of
from gatepost_operations.formatting import counted, in_zone

_NAMES: Final = uuid.UUID("5f1d6c0a-7f0e-4f55-9f43-2b7f0d1a8c61")
# Times relative to now differ from run to run.
_NOT_COMPARED: Final = {"guests", "start_at", "deadline", "tenant", "channel"}


@grouped
def send(
    file: FileArgument,
    *,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Name of the campaign [default: the name of the file; with --guest-list, FILE-rehearsal].",
        ),
    ] = None,
    reading: FileOptions,
    delivery: DeliveryOptions,
    recent: RecentOptions,
    skip_invalid: SkipInvalidOption = False,
    again: AgainOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show the plan, and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sending.")] = False,
    watch: Annotated[bool, typer.Option("--watch/--no-watch", help="Watch the campaign until it ends.")] = True,
    notify: NotifyOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line; the last is the result.")
    ] = False,
) -> ExitCode:
    """Send to everyone in a file, in one step.

    Checks the file, creates a campaign, adds the recipients, starts the campaign and watches it.

    After a crash, run the same command again. It continues the campaign, and adds the rows that are new in the file. No recipient gets a
    second message.

    Without --skip-invalid, the exit code is 6 if a row is invalid. The other exit codes are those of `gatepost campaign watch`.
    """
    events = Events() if as_json else None
    notifier = notifier_of(notify, watch=watch)
    with open_recipient_file(file, reading) as recipients, open_campaigns() as campaigns:
        options, guests = delivery.options(reading.channel), delivery.guests(reading)
        called = name or _name_of(file, rehearsal=delivery.guest_list is not None)
        before = _existing(campaigns, called, options, rehearsal=delivery.guest_list is not None)
        if before is None:
            check_name(called)
        if guests is None and not dry_run:
            own_id = campaign_id_of(campaigns.settings, called, options.tenant)
            refuse_sent_file(file_sent_by(campaigns, recipients.digest(), options.tenant, own_id), again=again)
        report = recipients.check()
        if not skip_invalid:
            refuse_invalid(report, recipients)
        if not report.valid:
            raise FileError(f"{recipients.name} has no valid recipient. Nothing was created")
        quota, failure = known_quota(campaigns.settings, options.tenant, offline=before is not None)
        asked = Asked(options, recent, guests=guests, campaign=before)
        made = planned(campaigns, recipients, report, asked, quota=quota)
        if events:
            events.event("checked", report.as_json() | {"file": recipients.name, "rejects": None})
            events.event("planned", made.as_json() | {"quota_failure": failure})
        else:
            (write if dry_run else say)(*plan_of_file(made, report, recipients.name, options, delivery.timezone))
        if dry_run:
            return _nothing_sent(events)
        if is_terminal(sys.stdin) and file != STANDARD_INPUT and not yes:
            _agree(campaigns, recipients, options, reading, made.recipients)
        campaign_id = _create(campaigns, called, guests, options, before)
        return _run(campaigns, campaign_id, recipients, recent, watch=watch, events=events, notifier=notifier)


def _agree(campaigns: Campaigns, file: RecipientFile, options: Options, reading: FileOptions, recipients: int) -> None:
    """Ask until the operator agrees, and send tests to the operator on request."""
    question = f"Send to {counted(recipients, 'recipient')}? (t sends a test to yourself first)"
    while (answer := choose(question, "ytn")) == "t":
        address = str(typer.prompt("Your address or phone number", err=True)).strip()
        try:
            with Producer(campaigns.settings) as producer:
                outcomes = send_samples(producer, file, options, reading, [address])
        except InvalidCommand as problem:
            say(f"gatepost: {problem}")
        else:
            say(*sample_lines(outcomes))
    if answer == "n":
        raise Refused("Nothing was done.")


def _nothing_sent(events: Events | None) -> ExitCode:
    if events:
        events.event("result", {"dry_run": True, "exit_code": int(ExitCode.DONE)})
    else:
        say("Dry run: nothing was recorded, nothing was sent.")
    return ExitCode.DONE


def _name_of(file: str, *, rehearsal: bool) -> str:
    if file == STANDARD_INPUT:
        raise Refused("Standard input has no file name; name the campaign with --name NAME. Nothing was done.")
    if is_read_once(file):
        raise Refused("A pipe has no file name; name the campaign with --name NAME. Nothing was done.")
    # Another name, so that the real campaign can follow under the file's name.
    return stem_of(file) + ("-rehearsal" if rehearsal else "")


def campaign_id_of(settings: Settings, name: str, tenant: str | None) -> str:
    """Return the id that `send` gives to a name. It is always the same, so a second run continues the campaign."""
    return str(uuid.uuid5(_NAMES, f"{settings.tenant_name(tenant)}\n{name}"))


def _existing(campaigns: Campaigns, name: str, options: Options, *, rehearsal: bool) -> Campaign | None:
    try:
        found = campaigns.status(campaign_id_of(campaigns.settings, name, options.tenant))
    except CampaignNotFound:
        return None
    known = found.options.model_copy(update={"auth_params": campaigns.auth_params(found.campaign_id)})
    asked, kept = (one.model_dump(exclude=_NOT_COMPARED) for one in (options, known))
    different = sorted(field for field in asked if asked[field] != kept[field])
    if (found.options.guests is not None) != rehearsal:
        different.append("guest list")
    if different:
        raise Refused(
            f"The campaign {name} exists since {in_zone(found.created_at)} with another {', '.join(different)}. For a new one, "
            f"give another --name. Nothing was done."
        )
    if found.status in {Status.CANCELLING, Status.CANCELLED, Status.DELETING}:
        raise Refused(f"The campaign {name} is {found.status}; for a new one, give another --name. Nothing was done.")
    say(
        f"The campaign {name} exists since {in_zone(found.created_at)} ({found.status}). Only new recipients are added, and its "
        "options stay. For a new campaign, give another --name."
    )
    return found


def _create(
    campaigns: Campaigns, name: str, guests: list[str] | None, options: Options, before: Campaign | None
) -> str:
    if before is not None:
        return before.campaign_id
    campaign_id = campaign_id_of(campaigns.settings, name, options.tenant)
    try:
        return campaigns.create(name, options, guest_list=guests, campaign_id=campaign_id)
    except CampaignConflict:
        # Another process created it meanwhile, with other options or with times relative to another moment.
        if _existing(campaigns, name, options, rehearsal=guests is not None) is None:
            raise
        return campaign_id


def _run(
    campaigns: Campaigns,
    campaign_id: str,
    file: RecipientFile,
    recent: RecentOptions,
    *,
    watch: bool,
    events: Events | None,
    notifier: Notifier,
) -> ExitCode:
    if events:
        events.event("created", {"campaign_id": campaign_id})
    else:
        write(f"campaign {campaign_id}")
    campaigns.names()
    added, counts = add_rows(campaigns, campaigns.status(campaign_id), file, recent)
    if events:
        events.event("added", added_document(campaign_id, added, counts))
    else:
        say(added_text(added, counts))
    if campaigns.status(campaign_id).status is Status.DRAFT:
        campaigns.start(campaign_id)
    campaign = campaigns.status(campaign_id)
    if events and not watch:
        events.result(campaign, ExitCode.DONE)
    return report_started(campaigns, campaign, watch=watch, as_json=events is not None, notifier=notifier)
