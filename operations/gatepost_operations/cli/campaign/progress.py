"""The progress of a campaign that is watched: a bar or lines for people, or a JSON object a line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from gatepost_core.states import FAILED_STATES, State
from gatepost_operations.cli.campaign.text import block_lines, sum_lines
from gatepost_operations.cli.campaign.workers import START_WORKER
from gatepost_operations.cli.formatting import duration_text, in_zone, rate_text
from gatepost_operations.cli.output import write_json
from gatepost_operations.cli.progress import Row, progress_display
from gatepost_operations.planning.watch import Activity, finish_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.cli.exit_codes import ExitCode
    from gatepost_operations.cli.progress import ProgressDisplay
    from gatepost_operations.planning.tenant_quota import TenantQuota
    from gatepost_operations.planning.watch import CampaignSnapshot


class Display(Protocol):
    """Shows snapshots of a campaign."""

    def show(self, snapshot: CampaignSnapshot, quota: TenantQuota | None, note: str) -> None:
        """Show a snapshot, and a note for the operator."""


@contextmanager
def campaign_display(*, as_json: bool, every_s: float) -> Iterator[Display]:
    """Give events as JSON when asked, a bar when standard error is a terminal, lines otherwise."""
    if as_json:
        yield Events()
        return
    with progress_display(every_s=every_s) as display:
        yield CampaignDisplay(display)


def numbers_text(campaign: Campaign) -> str:
    """Return the counts of accepted, failed, deferred and unknown recipients."""
    counts = campaign.counts
    failed = sum(counts[state] for state in FAILED_STATES)
    parts = [(counts[State.ACCEPTED], "accepted"), (failed, "failed")]
    if_any = [State.DEFERRED, State.UNKNOWN, State.SUPPRESSED, State.CANCELLED]
    parts += [(counts[state], state.value) for state in if_any if counts[state]]
    return " · ".join(f"{number:,} {word}" for number, word in parts)


def pace_text(snapshot: CampaignSnapshot, quota: TenantQuota | None) -> str:
    """Return the rate, the quota that is left, and the finish time, as far as they are known."""
    campaign = snapshot.campaign
    timezone = campaign.options.hours.timezone if campaign.options.hours else None
    parts = []
    if snapshot.activity is Activity.SENDING:
        parts.append(rate_text(campaign.rate))
    if quota is not None and quota.left is not None and quota.buckets:
        parts.append(f"quota {quota.left:,.0f} of {min(bucket.limit for bucket in quota.buckets):,} left")
    if quota is not None and quota.blocked_for_s >= 1:
        parts.append(f"blocked for {duration_text(quota.blocked_for_s)}")
    if snapshot.activity is Activity.RESTING and campaign.rests_until is not None:
        parts.append(f"rests until {in_zone(campaign.rests_until, timezone)}")
    finish = finish_at(campaign, snapshot.at, quota)
    if finish is not None:
        parts.append(f"done in about {duration_text((finish - snapshot.at).total_seconds())}")
    return " · ".join(parts)


def state_text(snapshot: CampaignSnapshot) -> str:
    """Return why a campaign does not send."""
    reference = snapshot.campaign.reference
    if wrong := next(sum_lines(snapshot.campaign), ""):
        return wrong
    match snapshot.activity:
        case Activity.NOT_STARTED:
            return f"not started; to start it: gatepost campaign start {reference}"
        case Activity.PAUSED_BY_HAND:
            return f"paused by the operator; to resume: gatepost campaign resume {reference}"
        case Activity.CANCELLING:
            return "being cancelled; calls under way are finished first"
        case Activity.BLOCKED:
            return " ".join(block_lines(snapshot.campaign))
        case _:
            return ""


def waiting_text(workers: int | None) -> str:
    """Return advice for a campaign without progress.

    Args:
        workers: how many accept batches; None when unknown.
    """
    if workers:
        return "waiting: no progress for some seconds, although a worker accepts campaigns; check its log"
    return f"waiting for a worker; to start one: {START_WORKER}"


class CampaignDisplay:
    """A campaign's counts, pace and state as progress for people."""

    def __init__(self, display: ProgressDisplay) -> None:
        self._display = display

    def show(self, snapshot: CampaignSnapshot, quota: TenantQuota | None, note: str) -> None:
        """Show a snapshot."""
        campaign = snapshot.campaign
        details = " · ".join(filter(None, [numbers_text(campaign), pace_text(snapshot, quota)]))
        row = Row(campaign.name, campaign.done, campaign.total, details)
        self._display.update([row], note or state_text(snapshot), is_last=snapshot.is_last)


class Events:
    """A JSON object a line: `progress` when something has changed, and one `result` at the end."""

    def __init__(self) -> None:
        self._before: tuple[Any, ...] | None = None

    def event(self, kind: str, document: dict[str, Any]) -> None:
        """Write an event of another kind."""
        write_json({"event": kind, **document})

    def show(self, snapshot: CampaignSnapshot, quota: TenantQuota | None, note: str) -> None:
        """Write an event, unless nothing has changed."""
        campaign = snapshot.campaign
        state = (snapshot.activity, campaign.status, tuple(campaign.counts.values()), note)
        if state == self._before:
            return
        self._before = state
        left = None if quota is None or quota.left is None else int(quota.left)
        finish = finish_at(campaign, snapshot.at, quota)
        more = {
            "finish_at": finish and finish.isoformat(),
            "quota_left": left,
            "note": note or state_text(snapshot) or None,
        }
        self.event("progress", snapshot.as_json() | more)

    def result(self, campaign: Campaign, code: ExitCode) -> None:
        """Write the last event."""
        self.event("result", campaign.as_json() | {"exit_code": int(code)})
