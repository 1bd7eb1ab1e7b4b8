"""`gatepost campaign pause`, `resume`, `cancel`, `change` and `delete`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from gatepost_core.campaigns.model import Status
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_operations.cli.campaign.changes import count_changes, option_changes, status_change
from gatepost_operations.cli.campaign.create import report_started
from gatepost_operations.cli.campaign.lookup import CampaignArgument, open_campaign
from gatepost_operations.cli.campaign.notify import NotifyOption, notifier_of
from gatepost_operations.cli.campaign.text import campaign_lines
from gatepost_operations.cli.campaign.watch import WatchOption
from gatepost_operations.cli.exit_codes import ExitCode, Refused
from gatepost_operations.cli.inputs import confirm
from gatepost_operations.cli.options import DeadlineZoneOption, JsonOption, Missing, YesOption
from gatepost_operations.cli.output import say, show
from gatepost_operations.cli.time_input import read_moment
from gatepost_operations.formatting import counted

_NONE = "none"


def pause(campaign: CampaignArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Pause a campaign: workers stop before their next recipient."""
    with open_campaign(campaign) as (campaigns, found):
        paused = campaigns.pause(found.campaign_id)
        show(paused.as_json(), status_change(found, paused), as_json=as_json)
        if not as_json:
            say(f"To resume: gatepost campaign resume {found.reference}")
    return ExitCode.DONE


def resume(
    campaign: CampaignArgument,
    *,
    accept_tenant: Annotated[
        bool,
        typer.Option("--accept-tenant", help="Move the campaign to the client id and domain that are configured now."),
    ] = False,
    watch: WatchOption = False,
    notify: NotifyOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Resume a paused campaign.

    A campaign belongs to the client id and domain with which it was created. If you have changed the client id or domain on purpose, give
    --accept-tenant.
    """
    notifier = notifier_of(notify, watch=watch)
    with open_campaign(campaign) as (campaigns, found):
        resumed = campaigns.resume(found.campaign_id, accept_tenant=accept_tenant)
        return report_started(campaigns, resumed, before=found, watch=watch, as_json=as_json, notifier=notifier)


def cancel(campaign: CampaignArgument, *, yes: YesOption = False, as_json: JsonOption = False) -> ExitCode:
    """Stop a campaign, and send nothing to the remaining recipients.

    The remaining recipients become cancelled. To send to them later, use `gatepost campaign retry --state cancelled`.
    """
    with open_campaign(campaign) as (campaigns, found):
        if found.status in {Status.FINISHED, Status.CANCELLED}:
            ended = f"{found.reference} is {found.status} already, so there is nothing to cancel"
            show(found.as_json(), ended, as_json=as_json)
            return ExitCode.DONE
        if found.status is not Status.CANCELLING:
            confirm(f"Cancel {found.name}? {counted(found.open, 'recipient')} would get no message.", sure=yes)
        cancelled = campaigns.cancel(found.campaign_id)
        show(cancelled.as_json(), status_change(found, cancelled), as_json=as_json)
    return ExitCode.DONE


def change(
    campaign: CampaignArgument,
    *,
    rate: Annotated[
        str | None,
        typer.Option("--rate", metavar="N|none", help="New maximum of recipients per second, or none for no maximum."),
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            "--deadline",
            metavar="MOMENT|none",
            help="New deadline: a time such as 2026-05-04T18:00+02:00, 2d for two days from now, or none for no deadline.",
        ),
    ] = None,
    timezone: DeadlineZoneOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Change a campaign's rate or deadline, also while it runs."""
    if rate is None and deadline is None:
        raise Missing("--rate or --deadline", "give what to change, such as --rate 20")
    now = datetime.now(UTC)
    with open_campaign(campaign) as (campaigns, found):
        changed = found
        if rate is not None:
            changed = campaigns.change_rate(found.campaign_id, None if rate == _NONE else _rate(rate))
        if deadline is not None:
            text = None if deadline == _NONE else deadline
            moment = read_moment(text, "deadline", now=now, timezone=timezone)
            changed = campaigns.change_deadline(found.campaign_id, moment)
    show(changed.as_json(), option_changes(found, changed, now), as_json=as_json)
    if found.status in {Status.FINISHED, Status.CANCELLED} and not as_json:
        say(f"The campaign is {found.status}. The change applies to recipients that are added or retried.")
    return ExitCode.DONE


def recount(campaign: CampaignArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Count recipients again if the counts do not add up.

    The counts do not add up if their sum is not the campaign's number of recipients.

    Pause the campaign first. This command reads all recipients, and replaces the campaign's counts. The exit code is 1 if recipients are
    missing or cannot be read.
    """
    with open_campaign(campaign) as (campaigns, found):
        counted_anew = campaigns.recount(found.campaign_id)
        after = campaigns.status(found.campaign_id)
    document = {"campaign_id": found.campaign_id, "status": after.status.value, **counted_anew.as_json()}
    lines = (count_changes(found, after), *campaign_lines(after, datetime.now(UTC)))
    show(document, *lines, as_json=as_json)
    complete = after.adds_up and not counted_anew.gone
    return ExitCode.DONE if complete else ExitCode.UNEXPECTED


def delete(
    campaign: CampaignArgument,
    *,
    confirmed_id: Annotated[
        str | None,
        typer.Option(
            "--confirm",
            metavar="ID",
            help="Whole id of the campaign. The command then asks no question. Required without a terminal.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Delete a campaign and its recipients.

    After that, Gatepost does not know who got a message, and does not refuse the same file in another campaign.
    """
    with open_campaign(campaign) as (campaigns, found):
        if confirmed_id not in {None, found.campaign_id}:
            raise Refused(f"--confirm must be {found.campaign_id}. Nothing was done.")
        question = f"Delete {found.name} and the outcomes of {counted(found.total, 'recipient')} permanently?"
        confirm(question, sure=confirmed_id is not None, flag=f"--confirm {found.campaign_id}")
        campaigns.delete(found.campaign_id)
    text = f"{found.reference} deleted, with the outcomes of {counted(found.total, 'recipient')}"
    show({"campaign_id": found.campaign_id, "deleted": True}, text, as_json=as_json)
    return ExitCode.DONE


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if rate <= 0:
        raise InvalidCommand([FieldError("rate", "must be a number above 0, or none")])
    return rate
