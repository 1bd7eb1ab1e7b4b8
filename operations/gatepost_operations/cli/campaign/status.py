"""`gatepost campaign status`, `list` and `show`: the status of campaigns, and the outcome of one recipient."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from gatepost_core.blocks import BlockKind
from gatepost_core.campaigns.model import Campaign, PauseReason, Status
from gatepost_core.errors import failure_of
from gatepost_core.states import NOT_ACCEPTED, State
from gatepost_operations.cli.campaign.list_text import list_lines
from gatepost_operations.cli.campaign.lookup import CampaignArgument, open_campaign
from gatepost_operations.cli.campaign.summary import what_next
from gatepost_operations.cli.campaign.text import campaign_lines, recipient_line
from gatepost_operations.cli.connection import open_campaigns
from gatepost_operations.cli.exit_codes import ExitCode, exit_code_of_error
from gatepost_operations.cli.inputs import address_from, naming
from gatepost_operations.cli.options import AddressArgument, JsonOption
from gatepost_operations.cli.output import say, show, width_of, write, write_json


def status(campaign: CampaignArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Show a campaign's status, counts and reasons."""
    with open_campaign(campaign) as (campaigns, found):
        max_rate = campaigns.settings.max_rate_of(found.options.tenant)
    lines = campaign_lines(found, datetime.now(UTC), max_rate)
    show(found.as_json() | {"max_rate": max_rate}, *lines, as_json=as_json)
    if not as_json:
        say(*what_next(found))
    return exit_code_of_campaign(found)


def exit_code_of_campaign(campaign: Campaign) -> ExitCode:
    """Return the exit code for a campaign's status.

    0 while it runs, and when every recipient was accepted or suppressed; 3 when it ended otherwise; 4 or 5 when it is paused, but not by
    an operator; 4 while workers cannot send a batch; 1 when every such batch is damaged, or the counts do not add up.
    """
    if not campaign.adds_up:
        return ExitCode.UNEXPECTED
    match campaign.status:
        case Status.FINISHED | Status.CANCELLED:
            failed = any(campaign.counts[state] for state in NOT_ACCEPTED)
            return ExitCode.NOT_ACCEPTED if failed else ExitCode.DONE
        case Status.RUNNING if campaign.blocks:
            damaged = all(block.kind is BlockKind.DAMAGED for block in campaign.blocks)
            return ExitCode.UNEXPECTED if damaged else ExitCode.CONFIGURATION
        case Status.PAUSED if campaign.pause and campaign.pause.reason is not PauseReason.BY_OPERATOR:
            cause = campaign.pause.cause
            refused = cause and exit_code_of_error(failure_of(campaign.campaign_id, cause)) is ExitCode.CONFIGURATION
            return ExitCode.CONFIGURATION if refused else ExitCode.REFUSED
        case _:
            return ExitCode.DONE


def list_command(
    *,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="Maximum number of campaigns.")
    ] = 20,
    as_json: JsonOption = False,
) -> ExitCode:
    """List campaigns, the newest first.

    The exit code is 1 if the counts of a campaign do not add up.
    """
    with open_campaigns() as campaigns:
        campaigns.names()
        found = campaigns.list(limit)
        if as_json:
            write_json({"campaigns": [one.as_json() for one in found]})
        elif found:
            write(*list_lines(found, datetime.now(UTC), width_of(sys.stdout)))
        else:
            say("There are no campaigns.")
    return ExitCode.DONE if all(one.adds_up for one in found) else ExitCode.UNEXPECTED


def show_recipient(campaign: CampaignArgument, recipient: AddressArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Show the outcome of one recipient of a campaign.

    To keep the address out of the shell's history, give it on standard input.
    """
    with open_campaign(campaign) as (campaigns, found), naming("recipient"):
        report = campaigns.show(found.campaign_id, address_from(recipient))
    if report is None:
        if as_json:
            write_json({"campaign_id": found.campaign_id, "state": None})
        else:
            say("gatepost: the campaign does not have this recipient.")
        return ExitCode.UNEXPECTED
    show({"campaign_id": found.campaign_id, **report.as_json()}, recipient_line(report), as_json=as_json)
    if report.reason is not None and not as_json:
        say(report.reason.advice)
    fine = report.state is State.ACCEPTED or not report.state.is_terminal
    return ExitCode.DONE if fine else ExitCode.NOT_ACCEPTED
