"""The operator's next step with a watched campaign, as commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_core.redis.errors import NOTHING_SENT
from gatepost_core.states import State
from gatepost_operations.cli.campaign.text import block_lines, sum_lines
from gatepost_operations.formatting import counted
from gatepost_operations.planning.watch import Activity
from gatepost_operations.planning.workers import START_WORKER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_operations.planning.observer import CampaignView


def next_steps(view: CampaignView) -> Iterator[str]:
    """Give the operator's next steps, if there is something to do or to know."""
    snapshot = view.snapshot
    campaign = snapshot.campaign
    if view.is_lost:
        yield view.failure.removesuffix(NOTHING_SENT).rstrip() or "Redis does not answer."
        yield "Check the server of GATEPOST_REDIS_URL. Nothing is sent until it answers."
        return
    yield from sum_lines(campaign)
    match snapshot.activity:
        case Activity.NOT_STARTED:
            yield f"To start it: gatepost campaign start {campaign.reference}"
        case Activity.PAUSED_BY_HAND:
            yield f"To resume: gatepost campaign resume {campaign.reference}"
        case Activity.CANCELLING:
            yield "Calls under way are finished first."
        case Activity.BLOCKED:
            yield from block_lines(campaign)
        case Activity.WAITING:
            yield waiting_text(view.workers)
        case Activity.SENDING if snapshot.is_stalled:
            calls = counted(campaign.counts[State.IN_FLIGHT], "call")
            yield f"{calls} without an answer. If a worker ended, its calls become unknown when its lease ends."
        case _:
            return


def waiting_text(workers: int | None) -> str:
    """Return advice for a campaign without progress.

    Args:
        workers: how many accept batches; None when unknown.
    """
    if workers:
        return "No progress, although a worker takes campaigns: check its log."
    return f"No worker takes campaigns. To start one: {START_WORKER}"
