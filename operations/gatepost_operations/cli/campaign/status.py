"""`gatepost campaign status`, `list` and `show`: the status of campaigns, and the outcome of one recipient."""

# No `from __future__ import annotations`: the command line reads the annotations of the options.

from datetime import UTC, datetime
from typing import Annotated

import typer

from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.states import State
from gatepost_operations.cli.campaign.exit_code import exit_code_of_campaign
from gatepost_operations.cli.campaign.lookup import CampaignArgument, find_campaign
from gatepost_operations.cli.campaign.text import campaign_lines, list_lines, recipient_line, what_next
from gatepost_operations.cli.connection import open_campaigns
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import address_from
from gatepost_operations.cli.options import AddressArgument, JsonOption
from gatepost_operations.cli.output import say, write, write_json


def status(campaign: CampaignArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Show a campaign's status, counts and reasons.

    Exit code 0 while it runs and when every recipient was accepted, 4 while the workers' configuration blocks it, 1 while batches cannot be opened;
    otherwise that of `watch`.
    """
    with open_campaigns() as campaigns:
        found = find_campaign(campaigns, campaign)
        max_rate = campaigns.settings.max_rate_of(found.options.tenant)
        if as_json:
            write_json(found.as_json() | {"max_rate": max_rate})
        else:
            write(*campaign_lines(found, datetime.now(UTC), max_rate))
            say(*what_next(found))
    return exit_code_of_campaign(found)


def list_command(
    *,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="Maximum number.")] = 20,
    as_json: JsonOption = False,
) -> ExitCode:
    """List campaigns, the newest first.

    Exit code 1 when the counts of one do not add up.
    """
    with open_campaigns() as campaigns:
        found = campaigns.list(limit)
        if as_json:
            write_json({"campaigns": [one.as_json() for one in found]})
        elif found:
            write(*list_lines(found))
        else:
            say("There are no campaigns.")
    return ExitCode.DONE if all(one.adds_up for one in found) else ExitCode.UNEXPECTED


def show(campaign: CampaignArgument, recipient: AddressArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Show the outcome of one recipient of a campaign.

    Read the address from standard input (-) to keep it out of the shell's history. Exit code 0 while the recipient is open or
    accepted, 3 after another outcome, 1 when the campaign does not have the recipient.
    """
    with open_campaigns() as campaigns:
        found = find_campaign(campaigns, campaign)
        try:
            report = campaigns.show(found.campaign_id, address_from(recipient))
        except ValueError as problem:
            raise InvalidCommand([FieldError("recipient", str(problem))]) from None
        if report is None:
            if as_json:
                write_json({"campaign_id": found.campaign_id, "state": None})
            else:
                say("gatepost: the campaign does not have this recipient.")
            return ExitCode.UNEXPECTED
        if as_json:
            write_json({"campaign_id": found.campaign_id, **report.as_json()})
        else:
            write(recipient_line(report))
            if report.reason is not None:
                say(report.reason.advice)
    fine = report.state is State.ACCEPTED or not report.state.is_terminal
    return ExitCode.DONE if fine else ExitCode.NOT_ACCEPTED
