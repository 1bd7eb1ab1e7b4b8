"""`Producer.campaigns`: the same campaigns that the command line sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost import CampaignOptions, Campaigns, Producer
from support.campaign_parts import rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gatepost_core.settings import Settings


def test_a_producer_has_campaigns(settings: Settings, run: Callable[..., tuple[int, Any]]) -> None:
    """Under its settings, made once, and closed with it; a shell sees what Python made."""
    with Producer(settings) as producer:
        campaigns = producer.campaigns
        campaign_id = campaigns.create("spring", CampaignOptions(rate=5))
        campaigns.add(campaign_id, rows(3))
        same = producer.campaigns

    _, shown = run("campaign", "status", "spring")
    assert isinstance(campaigns, Campaigns)
    assert same is campaigns
    assert campaigns.settings is settings
    assert (shown["campaign_id"], shown["total"], shown["options"]["rate"]) == (campaign_id, 3, 5)
