"""The recipients that a retry of a campaign selects. The command, the HTTP API and the console share this rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.reasons import Reason, Retry
from gatepost_core.states import FAILED_STATES, RETRYABLE

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatepost.campaigns.control import Retried
    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.states import State

_HOPEFUL: Final = frozenset(reason for reason in Reason if reason.retry is not Retry.CANNOT_SUCCEED)


@dataclass(frozen=True, slots=True)
class Selection:
    """The recipients that a retry selects: those in one of the states, for one of the reasons."""

    states: frozenset[State]
    reasons: frozenset[Reason]

    def has(self, state: State, reason: Reason) -> bool:
        """Return whether the selection has the recipients with this state and reason."""
        return state in self.states and reason in self.reasons


def selection_of(states: Collection[State] | None = None, reasons: Collection[Reason] | None = None) -> Selection:
    """Return the recipients to retry: those named, or else those who failed and for whom a retry can succeed.

    `unknown` recipients may have a message, and a second one voids its code. So they are selected only by name: by their state or reason.

    Args:
        states: the named states. Without them, the failed ones; with reasons, all that can be retried.
        reasons: the named reasons. Without them, those with which a retry can succeed, perhaps after a correction.
    """
    default = RETRYABLE if reasons else FAILED_STATES
    return Selection(frozenset(states or default), frozenset(reasons or _HOPEFUL))


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


def parts_of(campaign: Campaign, selection: Selection, reasons: Collection[Reason] | None) -> list[Part]:
    """Return the recipients in the states of a selection, by reason, the most frequent first.

    Args:
        campaign: the campaign.
        selection: the recipients to retry.
        reasons: the named reasons. Recipients with others are left out; without names, they are counted as skipped.
    """
    return [
        Part(state, reason, number, skipped=not selection.has(state, reason))
        for (state, reason), number in sorted(campaign.reasons.items(), key=lambda item: (-item[1], item[0]))
        if state in selection.states and (not reasons or reason in reasons)
    ]


@dataclass(frozen=True, slots=True)
class RetryResult:
    """The result of a retry or of its rehearsal, with the counts by reason from before it."""

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
