"""Campaigns as tests of what people see need them: any status, any counts, no Redis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gatepost_core.campaigns.model import Campaign, Options, Status
from gatepost_core.states import State
from gatepost_operations.planning.observer import CampaignView
from gatepost_operations.planning.watch import snapshot_of

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
CAMPAIGN_ID = "5f4d656c-493c-5302-a052-a231f4161fb0"


def campaign_with(status: Status = Status.RUNNING, **given: Any) -> Campaign:
    """Make a campaign; states by their names are its counts, other names its fields."""
    counts = {state: int(given.pop(state.value, 0)) for state in State}
    fields: dict[str, Any] = {
        "campaign_id": CAMPAIGN_ID,
        "name": "spring",
        "options": Options(tenant="default"),
        "status": status,
        "pause": None,
        "total": sum(counts.values()),
        "counts": counts,
        "reasons": {},
        "batches": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Campaign(**{**fields, **given})


def view_of(campaign: Campaign, *, idle_s: float = 0.0, after_s: float = 0.0, **given: Any) -> CampaignView:
    """Make a view of a campaign, `after_s` seconds after `NOW`; other names are the view's fields."""
    at = NOW + timedelta(seconds=after_s)
    return CampaignView(snapshot_of(campaign, at, idle_s), **{"at": at, **given})
