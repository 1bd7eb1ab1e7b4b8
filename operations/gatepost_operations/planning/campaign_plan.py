"""The plan of a campaign that exists: its open recipients under the learned quota, beside the other running campaigns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatepost_core.campaigns.model import Status
from gatepost_operations.planning.plan import Plan, plan

if TYPE_CHECKING:
    from gatepost.campaigns.control import Campaigns
    from gatepost_core.campaigns.model import Campaign, Options
    from gatepost_operations.planning.tenant_quota import TenantQuota


def beside(campaigns: Campaigns, options: Options) -> list[Campaign]:
    """Return the running campaigns of the named tenant, or of all tenants."""
    return [
        one for one in campaigns.list() if one.status is Status.RUNNING and options.tenant in {None, one.options.tenant}
    ]


def plan_of_campaign(campaigns: Campaigns, campaign: Campaign, quota: TenantQuota | None) -> Plan:
    """Return the plan of a campaign's open recipients.

    Raises:
        Unavailable: Redis did not answer.
    """
    rivals = [one for one in beside(campaigns, campaign.options) if one.campaign_id != campaign.campaign_id]
    return plan(
        campaign.open,
        campaign.options,
        quota,
        datetime.now(UTC),
        others=[one.open for one in rivals if one.options.rate is None and not one.blocks],
        running=len(rivals),
        blocks=[
            f"No finish time can be estimated. {block.sentence(campaign.accept_command)}" for block in campaign.blocks
        ],
    )
