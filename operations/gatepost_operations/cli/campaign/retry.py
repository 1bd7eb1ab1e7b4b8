"""`gatepost campaign retry`: queue recipients again for whom a second attempt can succeed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gatepost_core.campaigns.model import Campaign
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.reasons import Retry
from gatepost_core.states import RETRYABLE, State
from gatepost_operations.cli.campaign.create import report_started
from gatepost_operations.cli.campaign.lookup import CampaignArgument, open_campaign
from gatepost_operations.cli.campaign.notify import NotifyOption, notifier_of
from gatepost_operations.cli.campaign.results import ReasonOption, StateOption, reasons_of, states_of
from gatepost_operations.cli.campaign.watch import WatchOption
from gatepost_operations.cli.exit_codes import ExitCode, Refused
from gatepost_operations.cli.options import DeadlineZoneOption, JsonOption
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.cli.time_input import read_moment
from gatepost_operations.formatting import counted
from gatepost_operations.planning.retry import Part, RetryResult, parts_of, selection_of

_WORDS: Final = {
    Retry.CAN_SUCCEED: "can succeed",
    Retry.NEEDS_CORRECTION: "needs a correction",
    Retry.CANNOT_SUCCEED: "cannot succeed",
}


def retry(
    campaign: CampaignArgument,
    *,
    state: StateOption = None,
    reason: ReasonOption = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            "-n",
            help="Change nothing. Show the number of recipients for each reason, and whether a retry can succeed.",
        ),
    ] = False,
    deadline: Annotated[
        str | None,
        typer.Option(
            "--deadline",
            metavar="MOMENT",
            help="New deadline: a time such as 2026-05-04T18:00+02:00, or 2d for two days from now.",
        ),
    ] = None,
    timezone: DeadlineZoneOption = None,
    watch: WatchOption = False,
    notify: NotifyOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Send again to recipients who failed.

    By default, retries the recipients that are rejected, exhausted or expired. To choose others, give --state or --reason.

    Without --reason, skips recipients for whom a retry cannot succeed, such as those with a wrong address, and shows how many it skips. To retry
    them too, name their reason with --reason.

    Accepted recipients cannot be retried. To retry unknown recipients, give --state unknown. They may already have a message. A second
    message voids the code in the first.
    """
    reasons = reasons_of(reason)
    selection = selection_of(states_of(state), reasons)
    if refused := sorted(selection.states - RETRYABLE):
        raise InvalidCommand([FieldError("state", f"{', '.join(refused)} cannot be retried")])
    notifier = notifier_of(notify, watch=watch)
    with open_campaign(campaign) as (campaigns, found):
        new_deadline = read_moment(deadline, "deadline", now=datetime.now(UTC), timezone=timezone)
        parts = parts_of(found, selection, reasons)
        if not dry_run and not all(part.skipped for part in parts):
            _check_deadline(found, new_deadline)
        if new_deadline and not dry_run:
            campaigns.change_deadline(found.campaign_id, new_deadline)
        retried = campaigns.retry(found.campaign_id, selection.states, selection.reasons, dry_run=dry_run)
        result = RetryResult(found, retried, parts)
        if as_json and not watch:
            write_json(result.as_json())
            return ExitCode.DONE
        _say(result, to_stderr=as_json)
        if dry_run or not retried.matched:
            return ExitCode.DONE
        now = campaigns.status(found.campaign_id)
        return report_started(campaigns, now, watch=watch, as_json=as_json, notifier=notifier)


def _check_deadline(campaign: Campaign, new: datetime | None) -> None:
    old = campaign.options.deadline
    if old is not None and old <= datetime.now(UTC) and new is None:
        raise Refused(
            "The campaign's deadline has passed, so the recipients would expire again. Give a new one: --deadline 2d"
        )


def _say(result: RetryResult, *, to_stderr: bool) -> None:
    """Print the counts, after a dry run with a table by reason, and the reasons of skipped recipients with their advice."""
    counts = result.retried.by_state
    by_state = ", ".join(f"{counts[state]:,} {state}" for state in State if state in counts)
    verb = "would be queued again" if result.retried.dry_run else "queued again"
    skipped = f"; {result.skipped:,} skipped, because a retry cannot succeed" if result.skipped else ""
    states = f" ({'present' if result.retried.dry_run else 'previous'} state: {by_state})" if by_state else ""
    text = f"{counted(result.retried.matched, 'recipient')} {verb}{states}{skipped}"
    (say if to_stderr else write)(text)
    if result.retried.dry_run:
        (say if to_stderr else write)(*_table(result.parts))
    say(*_advice(result.parts, result.campaign.reference))


def _table(parts: list[Part]) -> Iterator[str]:
    if not parts:
        return
    longest = max(len(part.reason) for part in parts)
    yield f"  {'recipients':>10}  {'state':<9}  {'reason':<{longest}}  a retry"
    for part in parts:
        word = _WORDS[part.reason.retry]
        yield f"  {part.number:>10,}  {part.state:<9}  {part.reason:<{longest}}  {word}"


def _advice(parts: list[Part], name: str) -> Iterator[str]:
    for part in parts:
        if part.skipped:
            yield f"{part.number:,} skipped ({part.reason}): {part.reason.advice}"
            yield f"  to send to them all the same: gatepost campaign retry {name} --reason {part.reason}"
