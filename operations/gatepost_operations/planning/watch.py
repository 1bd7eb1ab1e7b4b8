"""A stream of snapshots of one campaign, until it ends or needs somebody."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.errors import Unavailable
from gatepost_core.states import State
from gatepost_operations.planning.plan import Supply, forecast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.planning.tenant_quota import TenantQuota

STALLED_AFTER_S: Final = 5.0
"""A running campaign of which nothing moves for so long waits for a worker."""
_SLOWEST: Final = 1e-6


class Activity(StrEnum):
    """What a campaign does at a moment."""

    NOT_STARTED = "not_started"
    SENDING = "sending"
    RESTING = "resting"
    """Until its start, its hours or the quota let it go on."""
    WAITING = "waiting_for_a_worker"
    BLOCKED = "blocked"
    """Nothing is under way, and the campaign's `blocks` say what keeps workers from it."""
    PAUSED_BY_HAND = "paused_by_hand"
    PAUSED_ITSELF = "paused_itself"
    CANCELLING = "cancelling"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CampaignSnapshot:
    """How a campaign stands at one moment.

    Attributes:
        campaign: the campaign.
        at: when it was read.
        activity: what it does.
        finish_at: when it will have ended at its present rate, hours taken into account; None while that cannot be told.
        still_for_s: how long nothing has moved.
    """

    campaign: Campaign
    at: datetime
    activity: Activity
    finish_at: datetime | None
    still_for_s: float = 0.0

    @property
    def is_last(self) -> bool:
        """Whether nothing will change until somebody does something."""
        return self.activity in {Activity.ENDED, Activity.PAUSED_ITSELF}

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values; no recipient is in it."""
        campaign = self.campaign
        return {
            "campaign_id": campaign.campaign_id,
            "at": self.at.isoformat(),
            "status": campaign.status.value,
            "activity": self.activity.value,
            "total": campaign.total,
            "done": campaign.done,
            "counts": {state.value: number for state, number in campaign.counts.items()},
            "adds_up": campaign.adds_up,
            "rate": round(campaign.rate, 3),
            "rests_until": campaign.rests_until and campaign.rests_until.isoformat(),
            "finish_at": self.finish_at and self.finish_at.isoformat(),
            "blocks": [block.as_json(campaign.accept_command) for block in campaign.blocks],
        }


class Campaigns(Protocol):
    """What watching needs of `gatepost.campaigns.control.Campaigns`."""

    def status(self, campaign_id: str) -> Campaign:
        """Return how a campaign stands."""


def watch(
    campaigns: Campaigns,
    campaign_id: str,
    *,
    every_s: float = 1.0,
    patience_s: float = 60.0,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[CampaignSnapshot]:
    """Give how a campaign stands, again and again; the last snapshot is its end, or the pause it went into by itself.

    A campaign that somebody has paused, or nobody has started, is watched on. Stopping to read changes nothing for the campaign.

    Args:
        campaigns: where campaigns are.
        campaign_id: which.
        every_s: seconds between two looks.
        patience_s: how long Redis may not answer before watching gives up.
        clock: the time.
        monotonic: seconds that only go forward.
        sleep: waits so many seconds.

    Raises:
        CampaignNotFound: there is no such campaign.
        Unavailable: Redis did not answer for too long; the campaign goes on.
    """
    moved_at, answered_at, before = monotonic(), monotonic(), None
    while True:
        try:
            campaign = campaigns.status(campaign_id)
        except Unavailable:
            if monotonic() - answered_at >= patience_s:
                raise
            sleep(every_s)
            continue
        now, tick = clock(), monotonic()
        answered_at = tick
        seen = (campaign.status, campaign.total, campaign.done, campaign.counts[State.IN_FLIGHT])
        if seen != before or campaign.status is not Status.RUNNING or _rests(campaign, now):
            moved_at, before = tick, seen
        snapshot = snapshot_of(campaign, now, tick - moved_at)
        yield snapshot
        if snapshot.is_last:
            return
        sleep(every_s)


def snapshot_of(campaign: Campaign, now: datetime, still_for_s: float = 0.0) -> CampaignSnapshot:
    """Return what a campaign does at this moment."""
    return CampaignSnapshot(campaign, now, _activity(campaign, now, still_for_s), finish_at(campaign, now), still_for_s)


def finish_at(campaign: Campaign, now: datetime, quota: TenantQuota | None = None) -> datetime | None:
    """Return when the campaign will have ended if it goes on at its present rate; None while that cannot be told, or workers are kept from it.

    Args:
        campaign: how it stands.
        now: the moment.
        quota: what is known of its quota. While the campaign rests its rate is one of the past, and the quota may give less.
    """
    rate = campaign.rate
    if quota is not None and quota.is_learnt and _rests(campaign, now):
        rate = min(rate, quota.rate)
    if campaign.status is not Status.RUNNING or rate <= _SLOWEST or campaign.blocks or not campaign.adds_up:
        return None
    start = max(now, campaign.rests_until or now)
    return forecast(campaign.open, Supply(0.0, rate), start, hours=campaign.options.hours).ends


def _activity(campaign: Campaign, now: datetime, still_for_s: float) -> Activity:
    match campaign.status:
        case Status.DRAFT:
            return Activity.NOT_STARTED
        case Status.FINISHED | Status.CANCELLED | Status.DELETING:
            return Activity.ENDED
        case Status.CANCELLING:
            return Activity.CANCELLING
        case Status.PAUSED:
            by_hand = campaign.pause is None or campaign.pause.reason is PauseReason.BY_OPERATOR
            return Activity.PAUSED_BY_HAND if by_hand else Activity.PAUSED_ITSELF
        case Status.RUNNING:
            return _activity_of_running(campaign, now, still_for_s)


def _activity_of_running(campaign: Campaign, now: datetime, still_for_s: float) -> Activity:
    if _rests(campaign, now):
        return Activity.RESTING
    idle = campaign.counts[State.IN_FLIGHT] == 0
    if idle and campaign.blocks:
        return Activity.BLOCKED
    return Activity.WAITING if idle and still_for_s >= STALLED_AFTER_S else Activity.SENDING


def _rests(campaign: Campaign, now: datetime) -> bool:
    return campaign.rests_until is not None and campaign.rests_until > now
