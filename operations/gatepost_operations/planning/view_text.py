"""A watched campaign in words: its activity, rate, quota, times and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from gatepost_core.campaigns.model import Options
from gatepost_core.states import State
from gatepost_operations.formatting import counted, day_text, duration_text, rate_text, time_left_text
from gatepost_operations.planning.campaign_events import EventKind
from gatepost_operations.planning.watch import Activity, finish_at

if TYPE_CHECKING:
    from datetime import datetime

    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.planning.campaign_events import CampaignEvent
    from gatepost_operations.planning.observer import CampaignView
    from gatepost_operations.planning.tenant_quota import TenantQuota
    from gatepost_operations.planning.watch import CampaignSnapshot


def timezone_of(campaign: Campaign) -> str | None:
    """Return the timezone of a campaign's sending hours; None for this machine's."""
    return campaign.options.hours.timezone if campaign.options.hours else None


_ACTIVITIES: Final = {
    Activity.NOT_STARTED: "not started",
    Activity.SENDING: "sending",
    Activity.WAITING: "waiting for a worker",
    Activity.RESTING: "rests",
    Activity.BLOCKED: "blocked",
    Activity.PAUSED_BY_HAND: "paused by an operator",
    Activity.PAUSED_ITSELF: "paused by itself",
    Activity.PAUSED_BY_RECOVER: "paused by gatepost recover",
    Activity.CANCELLING: "being cancelled",
    Activity.ENDED: "ended",
}
# The places for details are filled by `event_text`.
_EVENTS: Final = {
    EventKind.STARTED: "started",
    EventKind.PAUSED_BY_HAND: "paused by an operator",
    EventKind.PAUSED_ITSELF: "paused by itself: {cause}",
    EventKind.PAUSED_BY_RECOVER: "paused by gatepost recover",
    EventKind.RESUMED: "resumed by an operator",
    EventKind.RATE_CHANGED: "maximum rate {rates}",
    EventKind.DEADLINE_CHANGED: "deadline {deadlines}",
    EventKind.RESTS: "rests until {until}",
    EventKind.QUOTA_BLOCKED: "quota blocked until {until}",
    EventKind.BLOCKED: "blocked: no worker can send it",
    EventKind.STALLED: "no progress for {duration}",
    EventKind.MOVING_AGAIN: "moving again",
    EventKind.WORKERS_GONE: "{workers} gone",
    EventKind.WORKERS_JOINED: "{workers} joined",
    EventKind.CONNECTION_LOST: "connection to Redis lost",
    EventKind.CONNECTION_BACK: "connection back after {duration}",
    EventKind.CANCELLING: "cancelled by an operator",
    EventKind.ENDED: "{status}",
}


def activity_text(view: CampaignView) -> str:
    """Return the campaign's activity in a few words, or how long the connection has been lost."""
    if view.is_lost:
        return f"connection lost, last seen {duration_text(view.lost_for_s)} ago"
    snapshot, campaign = view.snapshot, view.snapshot.campaign
    match snapshot.activity:
        case Activity.SENDING | Activity.WAITING if snapshot.is_stalled and (
            view.workers or campaign.counts[State.IN_FLIGHT]
        ):
            return f"no progress for {duration_text(snapshot.idle_s)}"
        case Activity.RESTING if campaign.rests_until is not None:
            return f"rests until {day_text(campaign.rests_until, view.at, timezone_of(campaign))}"
        case Activity.ENDED:
            return campaign.status.value
        case _:
            return _ACTIVITIES[snapshot.activity]


def pace_text(snapshot: CampaignSnapshot) -> str:
    """Return the rate now, the mean since the start, and the campaign's own maximum."""
    parts = [f"{rate_text(snapshot.rate_now)} now"]
    if snapshot.mean_rate is not None:
        parts.append(f"{rate_text(snapshot.mean_rate)} on average")
    if snapshot.campaign.options.rate is not None:
        parts.append(f"at most {rate_text(snapshot.campaign.options.rate)} by its own rate")
    return ", ".join(parts)


def quota_text(view: CampaignView) -> str:
    """Return the quota that is left, and how fast a campaign can send with it; empty if it cannot be read."""
    quota, until = view.quota, view.quota_blocked_until
    if quota is None:
        return ""
    if until is not None and until > view.at:
        left = time_left_text(until, view.at, timezone_of(view.snapshot.campaign))
        return f"Auth0 accepts no requests until {left}"
    if not quota.is_known:
        return "not known before Auth0's first answer"
    if quota.blind:
        return f"Auth0 gives no numbers, so at most {rate_text(quota.fallback_rate)}"
    return _left_text(quota)


def _left_text(quota: TenantQuota) -> str:
    bucket = min(quota.buckets, key=lambda one: one.level)
    text = f"{bucket.level:,.0f} of {bucket.limit:,} left, {bucket.reserve:,} kept for logins"
    if not quota.is_learned:
        return f"{text}, refill not known yet"
    return f"{text}, enough for {rate_text(quota.rate)}"


def finish_text(view: CampaignView) -> str:
    """Return the forecast finish time in local time; empty if there is none."""
    snapshot = view.snapshot
    finish = None if snapshot.is_stalled else finish_at(snapshot.campaign, view.at, view.quota)
    if finish is None or view.is_lost:
        return ""
    timezone, deadline = timezone_of(snapshot.campaign), snapshot.campaign.options.deadline
    if deadline is not None and finish > deadline:
        return f"after the deadline, {time_left_text(deadline, view.at, timezone)}; the rest expires then"
    return time_left_text(finish, view.at, timezone)


def event_text(event: CampaignEvent, timezone: str | None) -> str:
    """Return an event in a few words, without its time."""
    old, new = (one.options if one else Options() for one in (event.before, event.campaign))
    rates = (rate_text(one.rate) if one.rate is not None else "none" for one in (old, new))
    deadlines = (day_text(one.deadline, event.at, timezone) if one.deadline else "none" for one in (old, new))
    return _EVENTS[event.kind].format(
        cause=_pause_cause(event.campaign),
        rates=" → ".join(rates),
        deadlines=" → ".join(deadlines),
        until=day_text(event.until or event.at, event.at, timezone),
        duration=duration_text(event.number),
        workers=_workers(event.number),
        status=event.campaign.status.value if event.campaign else "",
    )


def event_time(event: CampaignEvent, timezone: str | None, now: datetime) -> str:
    """Return an event's local time, with the day if it is not today's."""
    local, today = (one.astimezone(ZoneInfo(timezone) if timezone else None) for one in (event.at, now))
    return f"{local:%H:%M}" if local.date() == today.date() else f"{local:%Y-%m-%d %H:%M}"


def _workers(number: int) -> str:
    return "one bulk worker" if number == 1 else counted(number, "bulk worker")


def _pause_cause(campaign: Campaign | None) -> str:
    if campaign is None or campaign.pause is None:
        return "cause not known"
    reason, cause = campaign.pause.reason, campaign.pause.cause
    return reason.value.replace("_", " ") + (f" ({cause.value})" if cause else "")
