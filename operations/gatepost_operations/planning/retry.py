"""Whom a retry of a campaign selects, and whom it leaves out because it cannot succeed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.reasons import Reason, Retry

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatepost.campaigns.control import Retried
    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.states import State

HOPEFUL: Final = frozenset(reason for reason in Reason if reason.retry is not Retry.CANNOT_SUCCEED)
"""The reasons of recipients for whom a retry can succeed, perhaps after a correction."""


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


def parts_of(campaign: Campaign, states: Collection[State], reasons: Collection[Reason] | None) -> list[Part]:
    """Return the recipients of some states and reasons, by reason, the most frequent first."""
    return [
        Part(state, reason, number, skipped=reasons is None and reason not in HOPEFUL)
        for (state, reason), number in sorted(campaign.reasons.items(), key=lambda item: (-item[1], item[0]))
        if state in states and (reasons is None or reason in reasons)
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
