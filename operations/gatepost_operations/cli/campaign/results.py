"""`gatepost campaign export`: write recipients of some states and reasons to a file."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.nearest import did_you_mean
from gatepost_core.reasons import Reason
from gatepost_core.states import FAILED_STATES, State
from gatepost_operations.cli.campaign.lookup import CampaignArgument, open_campaign
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.options import ForceOption
from gatepost_operations.cli.output import say
from gatepost_operations.files.export import ExportFormat, write_outcomes
from gatepost_operations.files.output import require_free
from gatepost_operations.formatting import counted

_GROUP = "failed"

StateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help="Only recipients in this state; repeatable. failed means rejected, exhausted and expired.",
    ),
]
ReasonOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reason",
        metavar="REASON",
        help="Only recipients with this reason, as `gatepost campaign status` shows it; repeatable.",
    ),
]


def export(
    campaign: CampaignArgument,
    *,
    state: StateOption = None,
    reason: ReasonOption = None,
    format_: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="ndjson (one JSON object per line) or csv [default: by the file's name]."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Output file. Only its owner can read it [default: standard output].",
        ),
    ] = None,
    force: ForceOption = False,
) -> ExitCode:
    """Write recipients, outcomes and reasons to a file.

    Writes all recipients, or only those with the given states or reasons. You can use the file as a recipient file.

    In CSV, an apostrophe precedes text that a spreadsheet could read as a formula: +34600000001 becomes '+34600000001. Gatepost removes the apostrophe
    when it reads the file.
    """
    states = states_of(state) or None
    reasons = reasons_of(reason)
    by_name = ExportFormat.CSV if output is not None and output.suffix.lower() == ".csv" else ExportFormat.NDJSON
    chosen = format_ or by_name
    if output is not None:
        require_free(output, replace=force)
    with open_campaign(campaign) as (campaigns, found):
        all_of_them = campaigns.export(found.campaign_id, states)
        reports = (one for one in all_of_them if reasons is None or one.reason in reasons)
        number = write_outcomes(reports, output or sys.stdout, chosen, replace=force)
        if output is not None:
            say(f"{counted(number, 'recipient')} in {output}")
    return ExitCode.DONE


def states_of(given: Iterable[str] | None) -> set[State]:
    """Return the states that options name.

    Raises:
        InvalidCommand: there is no such state.
    """
    states: set[State] = set()
    for name in given or ():
        if name == _GROUP:
            states.update(FAILED_STATES)
        elif name in set(State):
            states.add(State(name))
        else:
            hint = did_you_mean(name, [_GROUP, *State])
            raise InvalidCommand([FieldError("state", f"must be {_GROUP}, or one of {', '.join(State)}.{hint}")])
    return states


def reasons_of(given: Iterable[str] | None) -> frozenset[Reason] | None:
    """Return the reasons that options name; None when there are none.

    Raises:
        InvalidCommand: there is no such reason.
    """
    names = list(given or ())
    unknown = next((name for name in names if name not in set(Reason)), None)
    if unknown is not None:
        hint = did_you_mean(unknown, Reason)
        problem = f"is unknown; `gatepost campaign status` lists the reasons of a campaign.{hint}"
        raise InvalidCommand([FieldError("reason", problem)])
    return frozenset(map(Reason, names)) or None
