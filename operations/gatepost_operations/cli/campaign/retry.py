"""`gatepost campaign retry`: queue recipients again for whom a second attempt can succeed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from gatepost.campaigns.control import Retried
from gatepost_core.campaigns.model import Campaign
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.reasons import Reason, Retry
from gatepost_core.states import FAILED_STATES, RETRYABLE, State
from gatepost_operations.cli.campaign.create import report_started
from gatepost_operations.cli.campaign.lookup import CampaignArgument, open_campaign
from gatepost_operations.cli.campaign.notify import NotifyOption, notifier_of
from gatepost_operations.cli.campaign.results import ReasonOption, StateOption, reasons_of, states_of
from gatepost_operations.cli.campaign.watch import WatchOption
from gatepost_operations.cli.exit_codes import ExitCode, Refused
from gatepost_operations.cli.options import JsonOption
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.cli.time_input import read_moment
from gatepost_operations.formatting import counted

_WORDS: Final = {
    Retry.CAN_SUCCEED: "can succeed",
    Retry.NEEDS_CORRECTION: "needs a correction",
    Retry.CANNOT_SUCCEED: "cannot succeed",
}
_HOPEFUL: Final = frozenset(reason for reason in Reason if reason.retry is not Retry.CANNOT_SUCCEED)


def retry(
    campaign: CampaignArgument,
    *,
    state: StateOption = None,
    reason: ReasonOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only show counts by reason, and whether a retry can succeed.")
    ] = False,
    deadline: Annotated[
        str | None, typer.Option("--deadline", metavar="MOMENT", help="A new deadline: 2026-05-04T18:00+02:00, 2d.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="NAME", help="Time zone of the deadline: Europe/Berlin.")
    ] = None,
    watch: WatchOption = False,
    notify: NotifyOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Send again to recipients who failed.

    Selects recipients by state and reason; without a state, those who failed (rejected, exhausted, expired). Without --reason, skips recipients
    for whom a retry cannot succeed, such as wrong addresses, and says how many. `accepted` cannot be retried. To include `unknown`, name it or
    its reason: some of these recipients have a message, and a second one voids its code.
    """
    states = states_of(state) or (set(RETRYABLE) if reason else set(FAILED_STATES))
    reasons = reasons_of(reason)
    if refused := sorted(states - RETRYABLE):
        raise InvalidCommand([FieldError("state", f"{', '.join(refused)} cannot be retried")])
    notifier = notifier_of(notify, watch=watch)
    with open_campaign(campaign) as (campaigns, found):
        new_deadline = read_moment(deadline, "deadline", now=datetime.now(UTC), timezone=timezone)
        parts = parts_of(found, states, reasons)
        if not dry_run and not all(part.skipped for part in parts):
            _check_deadline(found, new_deadline)
        if new_deadline and not dry_run:
            campaigns.change_deadline(found.campaign_id, new_deadline)
        retried = campaigns.retry(found.campaign_id, states, reasons or _HOPEFUL, dry_run=dry_run)
        shown = Shown(found, retried, parts)
        if as_json and not watch:
            write_json(shown.as_json())
            return ExitCode.DONE
        shown.say(to_stderr=as_json)
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


@dataclass(frozen=True, slots=True)
class Part:
    """The recipients of one state and reason.

    Attributes:
        number: how many there are.
        skipped: whether the retry leaves them out, because it cannot succeed.
    """

    state: State
    reason: Reason
    number: int
    skipped: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "state": self.state.value,
            "reason": self.reason.value,
            "count": self.number,
            "retry": self.reason.retry.value,
            "skipped": self.skipped,
        }


def parts_of(campaign: Campaign, states: set[State], reasons: frozenset[Reason] | None) -> list[Part]:
    """Return the recipients of some states and reasons, by reason, the most frequent first."""
    return [
        Part(state, reason, number, skipped=reasons is None and reason not in _HOPEFUL)
        for (state, reason), number in sorted(campaign.reasons.items(), key=lambda item: (-item[1], item[0]))
        if state in states and (reasons is None or reason in reasons)
    ]


@dataclass(frozen=True, slots=True)
class Shown:
    """The result of a retry, for people and programs."""

    campaign: Campaign
    retried: Retried
    parts: list[Part]

    @property
    def skipped(self) -> int:
        """The number of recipients that the retry left out."""
        return sum(part.number for part in self.parts if part.skipped)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values. The counts by reason are those from before the retry."""
        return {
            "campaign_id": self.campaign.campaign_id,
            "matched": self.retried.matched,
            "by_state": {state.value: number for state, number in self.retried.by_state.items()},
            "skipped": self.skipped,
            "by_reason": [part.as_json() for part in self.parts],
            "dry_run": self.retried.dry_run,
        }

    def say(self, *, to_stderr: bool) -> None:
        """Print the counts, after a dry run with a table by reason, and the reasons of skipped recipients with their advice."""
        counts = self.retried.by_state
        by_state = ", ".join(f"{counts[state]:,} {state}" for state in State if state in counts)
        verb = "would be queued again" if self.retried.dry_run else "queued again"
        skipped = f"; {self.skipped:,} skipped, because a retry cannot succeed" if self.skipped else ""
        text = f"{counted(self.retried.matched, 'recipient')} {verb}{f' ({by_state})' if by_state else ''}{skipped}"
        (say if to_stderr else write)(text)
        if self.retried.dry_run:
            (say if to_stderr else write)(*_table(self.parts))
        say(*_advice(self.parts, self.campaign.reference))


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
