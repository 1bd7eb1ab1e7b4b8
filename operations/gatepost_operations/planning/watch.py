"""Watch a campaign: yield snapshots until it ends or pauses itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.errors import Unavailable
from gatepost_core.states import State
from gatepost_operations.planning.plan import Supply, forecast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.campaigns.model import Campaign, Pause
    from gatepost_operations.planning.tenant_quota import TenantQuota

STALLED_AFTER_S: Final = 5.0
"""A running campaign without a change for this time makes no progress. At a low rate, that takes the time of three recipients."""
_STALLED_AFTER_RECIPIENTS: Final = 3
# After a longer silence, the campaign may have moved unseen.
_SILENCE_S: Final = 1.0
_SLOWEST: Final = 1e-6


class Activity(StrEnum):
    """The current activity of a campaign."""

    NOT_STARTED = "not_started"
    SENDING = "sending"
    RESTING = "resting"
    """Waiting for its start, its sending hours or the quota."""
    WAITING = "waiting_for_a_worker"
    BLOCKED = "blocked"
    """No worker sends for it; the campaign's `blocks` give the causes."""
    PAUSED_BY_HAND = "paused_by_hand"
    PAUSED_ITSELF = "paused_itself"
    PAUSED_BY_RECOVER = "paused_by_recover"
    """`gatepost recover` paused it after a restored backup."""
    CANCELLING = "cancelling"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CampaignSnapshot:
    """The state of a campaign at one time.

    Attributes:
        campaign: the campaign.
        at: when it was read.
        activity: its activity.
        finish_at: the forecast finish time at the current rate and within the sending hours; None if it is unknown.
        idle_s: seconds since the last change that was seen, without interruption of the connection.
    """

    campaign: Campaign
    at: datetime
    activity: Activity
    finish_at: datetime | None
    idle_s: float = 0.0

    @property
    def is_stalled(self) -> bool:
        """Whether the campaign should send, and no count has changed for longer than its rate explains."""
        return self.activity in {Activity.SENDING, Activity.WAITING} and self.idle_s >= stalled_after_s(self.campaign)

    @property
    def rate_now(self) -> float:
        """Recipients a second now. The campaign's record keeps the last rate when nothing moves any more."""
        return self.campaign.rate if self.activity is Activity.SENDING and not self.is_stalled else 0.0

    @property
    def mean_rate(self) -> float | None:
        """Recipients a second since the start, rests and pauses included; None before the start."""
        elapsed = elapsed_s(self.campaign, self.at)
        return self.campaign.done / elapsed if elapsed else None

    @property
    def is_last(self) -> bool:
        """Whether the campaign changes only after an operator acts."""
        return self.activity in {Activity.ENDED, Activity.PAUSED_ITSELF, Activity.PAUSED_BY_RECOVER}

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


def watch(
    campaigns: Campaigns,
    campaign_id: str,
    *,
    every_s: float = 1.0,
    patience_s: float = 60.0,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    on_failure: Callable[[Unavailable], None] = lambda _: None,
) -> Iterator[CampaignSnapshot]:
    """Yield snapshots of a campaign until it has ended or paused itself.

    Drafts, and campaigns that an operator paused, are still watched. The campaign itself is not affected.

    Args:
        campaigns: reads campaigns.
        campaign_id: the campaign's id.
        every_s: seconds between two snapshots.
        patience_s: seconds for which Redis may be unavailable.
        clock: returns the current time.
        monotonic: returns the seconds of a monotonic clock.
        sleep: waits for a number of seconds.
        on_failure: called after each failure within `patience_s`.

    Raises:
        CampaignNotFound: there is no such campaign.
        Unavailable: Redis did not answer for `patience_s` seconds. The campaign continues.
    """
    movement, answered_at = Movement(monotonic(), every_s), monotonic()
    while True:
        try:
            campaign = campaigns.status(campaign_id)
        except Unavailable as failure:
            if monotonic() - answered_at >= patience_s:
                raise
            on_failure(failure)
            sleep(every_s)
            continue
        answered_at = monotonic()
        snapshot = movement.look(campaign, clock(), answered_at)
        yield snapshot
        if snapshot.is_last:
            return
        sleep(every_s)


class Movement:
    """Measures how long a watched campaign has not changed.

    Args:
        tick: the seconds of a monotonic clock.
        every_s: seconds between two looks.
    """

    def __init__(self, tick: float, every_s: float) -> None:
        self._moved_at = self._looked_at = tick
        self._every_s = every_s
        self._before: object = None

    def look(self, campaign: Campaign, now: datetime, tick: float) -> CampaignSnapshot:
        """Return a snapshot with the seconds since the last change.

        Args:
            campaign: the campaign as it was read just now.
            now: the current time.
            tick: the seconds of the monotonic clock.
        """
        if tick - self._looked_at > self._every_s + _SILENCE_S:
            self._before = None
        self._looked_at = tick
        seen = (campaign.status, campaign.total, campaign.done, campaign.counts[State.IN_FLIGHT])
        if seen != self._before or campaign.status is not Status.RUNNING or _rests(campaign, now):
            self._moved_at, self._before = tick, seen
        return snapshot_of(campaign, now, tick - self._moved_at)


def snapshot_of(campaign: Campaign, now: datetime, idle_s: float = 0.0) -> CampaignSnapshot:
    """Return a snapshot of a campaign."""
    return CampaignSnapshot(campaign, now, _activity(campaign, now, idle_s), finish_at(campaign, now), idle_s)


def finish_at(campaign: Campaign, now: datetime, quota: TenantQuota | None = None) -> datetime | None:
    """Return the finish time at the campaign's current rate; None if it is unknown or the campaign is blocked.

    Args:
        campaign: the campaign.
        now: the current time.
        quota: the learned quota. It limits the rate of a resting campaign, whose own rate was measured before the rest.
    """
    rate = campaign.rate
    if quota is not None and quota.is_learned and _rests(campaign, now):
        rate = min(rate, quota.rate)
    if campaign.status is not Status.RUNNING or rate <= _SLOWEST or campaign.blocks or not campaign.adds_up:
        return None
    start = max(now, campaign.rests_until or now)
    return forecast(campaign.open, Supply(0.0, rate), start, hours=campaign.options.hours).ends


def elapsed_s(campaign: Campaign, now: datetime) -> float | None:
    """Return the seconds from a campaign's start to its end, or until now; None before the start."""
    if campaign.started_at is None:
        return None
    return max(0.0, ((campaign.ended_at or now) - campaign.started_at).total_seconds())


def _activity(campaign: Campaign, now: datetime, idle_s: float) -> Activity:
    match campaign.status:
        case Status.DRAFT:
            return Activity.NOT_STARTED
        case Status.FINISHED | Status.CANCELLED | Status.DELETING:
            return Activity.ENDED
        case Status.CANCELLING:
            return Activity.CANCELLING
        case Status.PAUSED:
            return _paused(campaign.pause)
        case Status.RUNNING:
            return _activity_of_running(campaign, now, idle_s)


def _paused(pause: Pause | None) -> Activity:
    match pause.reason if pause else PauseReason.BY_OPERATOR:
        case PauseReason.BY_OPERATOR:
            return Activity.PAUSED_BY_HAND
        case PauseReason.BACKUP_RESTORED:
            return Activity.PAUSED_BY_RECOVER
        case _:
            return Activity.PAUSED_ITSELF


def _activity_of_running(campaign: Campaign, now: datetime, idle_s: float) -> Activity:
    if _rests(campaign, now):
        return Activity.RESTING
    idle = campaign.counts[State.IN_FLIGHT] == 0
    if idle and campaign.blocks:
        return Activity.BLOCKED
    return Activity.WAITING if idle and idle_s >= stalled_after_s(campaign) else Activity.SENDING


def stalled_after_s(campaign: Campaign) -> float:
    """Return the seconds without a change after which a running campaign makes no progress."""
    rates = [rate for rate in (campaign.rate, campaign.options.rate) if rate and rate > _SLOWEST]
    return max([STALLED_AFTER_S, *(_STALLED_AFTER_RECIPIENTS / rate for rate in rates)])


def _rests(campaign: Campaign, now: datetime) -> bool:
    return campaign.rests_until is not None and campaign.rests_until > now
