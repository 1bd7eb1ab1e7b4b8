"""`gatepost campaign retry` and `export`: queue recipients of some states again, or write them to a file."""

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gatepost.campaigns.control import Campaigns, Retried
from gatepost.campaigns.report import RecipientReport
from gatepost_core.campaigns.model import Campaign
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.nearest import did_you_mean
from gatepost_core.reasons import Reason
from gatepost_core.states import FAILED_STATES, RETRYABLE, State
from gatepost_operations.cli.campaign.create import report_started
from gatepost_operations.cli.campaign.lookup import CampaignArgument, open_campaign
from gatepost_operations.cli.campaign.watch import WatchOption
from gatepost_operations.cli.exit_codes import ExitCode, Refused
from gatepost_operations.cli.formatting import counted
from gatepost_operations.cli.options import ForceOption, JsonOption
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.cli.time_input import read_moment
from gatepost_operations.files.export import ExportFormat, write_outcomes
from gatepost_operations.files.output import require_free

_GROUP = "failed"

StateOption = Annotated[
    list[str] | None,
    typer.Option("--state", metavar="STATE", help="One of the states, or failed: rejected, exhausted and expired."),
]
ReasonOption = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="REASON", help="Only recipients with this reason; `status` lists reasons."),
]


def retry(
    campaign: CampaignArgument,
    *,
    state: StateOption = None,
    reason: ReasonOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only count the recipients.")] = False,
    deadline: Annotated[
        str | None, typer.Option("--deadline", metavar="MOMENT", help="A new deadline: 2026-05-04T18:00+02:00, 2d.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="NAME", help="Time zone of the deadline: Europe/Berlin.")
    ] = None,
    watch: WatchOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Send again to recipients who failed.

    Selects recipients by state and reason; without a state, those who failed (rejected, exhausted, expired). `accepted` cannot be retried.
    To include `unknown`, name it or its reason: some of these recipients have a message, and a second one voids its code.
    """
    states = states_of(state) or (set(RETRYABLE) if reason else set(FAILED_STATES))
    reasons = reasons_of(reason)
    if refused := sorted(states - RETRYABLE):
        raise InvalidCommand([FieldError("state", f"{', '.join(refused)} cannot be retried")])
    with open_campaign(campaign) as (campaigns, found):
        new_deadline = read_moment(deadline, "deadline", now=datetime.now(UTC), timezone=timezone)
        _check_deadline(found, new_deadline, dry_run=dry_run)
        if new_deadline and not dry_run:
            campaigns.change_deadline(found.campaign_id, new_deadline)
        retried = campaigns.retry(found.campaign_id, states, reasons, dry_run=dry_run)
        return _after_retry(campaigns, found, retried, watch=watch, as_json=as_json)


def _check_deadline(campaign: Campaign, new: datetime | None, *, dry_run: bool) -> None:
    old = campaign.options.deadline
    if old is not None and old <= datetime.now(UTC) and new is None and not dry_run:
        raise Refused(
            "The campaign's deadline has passed, so the recipients would expire again. Give a new one: --deadline 2d"
        )


def _after_retry(campaigns: Campaigns, campaign: Campaign, retried: Retried, *, watch: bool, as_json: bool) -> ExitCode:
    by_state = {one.value: number for one, number in retried.by_state.items()}
    if as_json and not watch:
        document = {"campaign_id": campaign.campaign_id, "matched": retried.matched, "by_state": by_state}
        write_json(document | {"dry_run": retried.dry_run})
        return ExitCode.DONE
    parts = ", ".join(f"{number:,} {name}" for name, number in by_state.items())
    verb = "would be queued again" if retried.dry_run else "queued again"
    text = f"{counted(retried.matched, 'recipient')} {verb}{f' ({parts})' if parts else ''}"
    (say if as_json else write)(text)
    if retried.dry_run or not retried.matched:
        return ExitCode.DONE
    now = campaigns.status(campaign.campaign_id)
    return report_started(campaigns, now, watch=watch, as_json=as_json, quiet=True)


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
        typer.Option("--output", "-o", metavar="FILE", help="File that only its owner can read [default: stdout]."),
    ] = None,
    force: ForceOption = False,
) -> ExitCode:
    """Write recipients, outcomes and reasons to a file.

    Writes all recipients, or those of some states and reasons. The file can be read again as a file of recipients. In CSV, cells that a spreadsheet would take for a formula get a leading
    apostrophe, which is removed when the file is read again.
    """
    states = states_of(state) or None
    reasons = reasons_of(reason)
    by_name = ExportFormat.CSV if output is not None and output.suffix.lower() == ".csv" else ExportFormat.NDJSON
    chosen = format_ or by_name
    if output is not None:
        require_free(output, replace=force)
    with open_campaign(campaign) as (campaigns, found):
        reports = _chosen(campaigns.export(found.campaign_id, states), reasons)
        number = write_outcomes(reports, output or sys.stdout, chosen, replace=force)
        if output is not None:
            say(f"{counted(number, 'recipient')} in {output}")
    return ExitCode.DONE


def _chosen(reports: Iterable[RecipientReport], reasons: frozenset[Reason] | None) -> Iterator[RecipientReport]:
    return (one for one in reports if reasons is None or one.reason in reasons)


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
