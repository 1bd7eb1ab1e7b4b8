"""A campaign in words, for its page: what to do next, and what an action did."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.states import RETRYABLE, State
from gatepost_operations.formatting import counted, duration_text, share_text
from gatepost_operations.planning.view_text import (
    activity_text,
    event_text,
    event_time,
    finish_text,
    pace_text,
    quota_text,
)
from gatepost_operations.planning.watch import Activity, elapsed_s
from gatepost_operations.planning.workers import START_WORKER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.planning.observer import CampaignView

DONE: Final = {
    "created": "The campaign was created as a draft. Look at its plan, then start it.",
    "added": "The recipients were added.",
    "start": "The campaign was started.",
    "pause": "The campaign was paused. Calls under way are finished.",
    "resume": "The campaign was resumed.",
    "cancel": "The campaign was cancelled.",
    "change": "The options were changed. Workers use them from their next batch.",
    "retry": "The recipients are queued again.",
    "suppress": "The recipients were added to the suppression list.",
    "test": "The test message was handed to Auth0.",
}
"""The message on a campaign's page after each action."""


def steps(view: CampaignView) -> Iterator[str]:
    """Give what an operator should know or do now."""
    campaign = view.snapshot.campaign
    if not campaign.adds_up:
        yield f"The counts do not add up. To count again: gatepost campaign recount {campaign.reference}"
    paused_itself = campaign.pause is not None and campaign.pause.reason is not PauseReason.BY_OPERATOR
    if campaign.pause is not None and paused_itself and campaign.status is Status.PAUSED:
        yield campaign.pause.advice
    yield from (block.sentence(campaign.accept_command) for block in campaign.blocks)
    match view.snapshot.activity:
        case Activity.NOT_STARTED if campaign.total:
            yield "Nothing is sent before the campaign is started."
        case Activity.NOT_STARTED:
            yield "The campaign has no recipients yet."
        case Activity.CANCELLING:
            yield "Calls under way are finished first."
        case Activity.WAITING if view.workers:
            yield "No progress, although a worker takes campaigns: check its log."
        case Activity.WAITING:
            yield f"No worker takes campaigns. To start one: {START_WORKER}"
        case Activity.SENDING if view.snapshot.is_stalled:
            calls = counted(campaign.counts[State.IN_FLIGHT], "call")
            yield f"{calls} without an answer. If a worker ended, its calls become unknown when its lease ends."
        case _:
            return


def _elapsed(view: CampaignView) -> str:
    seconds = elapsed_s(view.snapshot.campaign, view.at)
    if seconds is None:
        return ""
    return f"{'took' if view.snapshot.campaign.ended_at else 'for'} {duration_text(seconds)}"


def _shown_states(campaign: Campaign) -> list[tuple[State, int]]:
    """Return the states with recipients, and always those that every campaign has."""
    always = {State.QUEUED, State.IN_FLIGHT, State.ACCEPTED}
    return [(state, campaign.counts[state]) for state in State if campaign.counts[state] or state in always]


def _options(campaign: Campaign) -> Iterator[tuple[str, str]]:
    """Give the options that are set, in words."""
    for name, value in campaign.options.not_personal().items():
        yield name.replace("_", " "), "yes" if value is True else str(value)
    if campaign.options.guests is not None:
        yield "rehearsal", f"only {counted(len(campaign.options.guests), 'guest')} get a message"


CAMPAIGN_GLOBALS: Final[dict[str, Any]] = {
    "activity": activity_text,
    "finish": finish_text,
    "pace": pace_text,
    "quota": quota_text,
    "elapsed": _elapsed,
    "event_text": event_text,
    "event_time": event_time,
    "shown_states": _shown_states,
    "sorted_reasons": lambda campaign: sorted(campaign.reasons.items(), key=lambda item: -item[1]),
    "options": _options,
    "lost_since": lambda view: view.at - timedelta(seconds=view.lost_for_s),
    "retryable": lambda campaign: any(campaign.counts[state] for state in RETRYABLE),
    "share": share_text,
}
"""The functions that the templates of campaigns use."""
