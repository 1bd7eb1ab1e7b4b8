"""The end of a campaign: its duration, its requests, and the next commands."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from gatepost_core.campaigns.model import Status
from gatepost_core.commands import OnUnknown
from gatepost_core.states import FAILED_STATES, State
from gatepost_operations.formatting import counted, duration_text, rate_text
from gatepost_operations.planning.retry import selection_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_core.campaigns.model import Campaign

_ENDED: Final = frozenset({Status.FINISHED, Status.CANCELLED})
_STEPS: Final = 3


def took_text(campaign: Campaign) -> str:
    """Return the time from the start to the end and the mean rate; empty for a campaign that was not started or has not ended."""
    if campaign.status not in _ENDED or campaign.started_at is None or campaign.ended_at is None:
        return ""
    seconds = (campaign.ended_at - campaign.started_at).total_seconds()
    mean = f", {rate_text(campaign.done / seconds)} on average" if seconds > 0 else ""
    return f"{duration_text(seconds) if seconds >= 1 else 'less than a second'}{mean}"


def cost_text(campaign: Campaign) -> str:
    """Return how many messages the states cost, for a campaign that has ended: a provider bills what Auth0 accepted."""
    if campaign.status not in _ENDED or not campaign.adds_up:
        return ""
    accepted, unknown = campaign.counts[State.ACCEPTED], campaign.counts[State.UNKNOWN]
    # An accepted recipient may have had an earlier attempt without an answer.
    least = "at least " if campaign.options.on_unknown is OnUnknown.RESEND else ""
    parts = [f"{least}{counted(accepted, 'message')}"]
    if unknown:
        parts.append(f"and up to {unknown:,} more for unknown recipients")
    return " ".join(parts)


def what_next(campaign: Campaign) -> Iterator[str]:
    """Give the three commands that follow a campaign's end, each below its purpose."""
    if campaign.status not in _ENDED:
        return
    for purpose, command in islice(_steps(campaign), _STEPS):
        yield f"{purpose}:"
        yield f"  gatepost campaign {command}"


def _steps(campaign: Campaign) -> Iterator[tuple[str, str]]:
    name, failed, unknown = campaign.reference, _failed(campaign), campaign.counts[State.UNKNOWN]
    states = " ".join(f"--state {one}" for one, number in (("failed", failed), ("unknown", unknown)) if number)
    if states:
        yield "To see who, and why", f"export {name} {states} -o failed.csv"
    if hopeful := _hopeful(campaign):
        yield f"To retry {counted(hopeful, 'recipient')}, first without sending", f"retry {name} --dry-run"
    if unknown:
        yield "To send again to the unknown, which voids a code that did arrive", f"retry {name} --state unknown"
    yield "To look one recipient up", f"show {name} ADDRESS"
    if not states:
        yield "To export all outcomes", f"export {name} -o outcomes.csv"
    yield "To delete the record later", f"delete {name}"


def _failed(campaign: Campaign) -> int:
    return sum(campaign.counts[state] for state in FAILED_STATES)


def _hopeful(campaign: Campaign) -> int:
    selection = selection_of()
    return sum(number for (state, reason), number in campaign.reasons.items() if selection.has(state, reason))
