"""The recipients of a campaign by state and reason, without keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.model import Options
from support.campaign_parts import email, rows
from support.console_data import enlarge

if TYPE_CHECKING:
    import httpx
    import redis

    from gatepost.campaigns.control import Campaigns

BATCHES = 6


@pytest.fixture
def campaign(campaigns: Campaigns, redis_client: redis.Redis) -> str:
    """A campaign with recipients in several states."""
    campaign_id = campaigns.create("Spring invitation", Options())
    campaigns.add(campaign_id, rows(3))
    enlarge(redis_client, campaign_id, BATCHES)
    return campaign_id


def _numbers(page: str) -> list[int]:
    return [int(number) for number in re.findall(r"/recipients/(\d+)/reveal\" hx-post", page)]


def test_pages_of_a_filter_hold_every_matching_recipient_once(console: httpx.Client, campaign: str) -> None:
    """The links to the next page lead to the end, across batches."""
    url, found = f"/campaigns/{campaign}/recipients?state=rejected", []
    for _ in range(10):
        page = console.get(url).text
        found += _numbers(page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        if following is None:
            break
        url = following[1].replace("&amp;", "&")

    assert found == [batch * 256 + row for batch in range(BATCHES) for row in range(180, 188)]
    assert "48 recipients match" in page


def test_recipients_are_found_by_reason(console: httpx.Client, campaign: str) -> None:
    """The count is that of the campaign's record; other recipients are left out."""
    page = console.get(f"/campaigns/{campaign}/recipients?reason=answer_lost").text

    assert len(_numbers(page)) == 3 * BATCHES
    assert f"{3 * BATCHES} recipients match" in page
    assert "Retry all 18" in page


def test_no_address_is_in_the_page(console: httpx.Client, campaign: str) -> None:
    """The console cannot read one."""
    page = console.get(f"/campaigns/{campaign}/recipients").text

    assert len(_numbers(page)) == 50
    assert email(0) not in page
    assert "example.com" not in page


def test_a_filter_without_matches_says_so(console: httpx.Client, campaign: str) -> None:
    """There is nothing to act on, so no action is offered."""
    page = console.get(f"/campaigns/{campaign}/recipients?state=cancelled").text

    assert "0 recipients match" in page
    assert "Export all" not in page


def test_the_number_of_a_retry_has_only_recipients_that_can_be_retried(console: httpx.Client, campaign: str) -> None:
    """Accepted and queued recipients match the filter, and are not retried."""
    page = console.get(f"/campaigns/{campaign}/recipients").text

    assert f"{256 * BATCHES:,} recipients match" in page
    assert f"Retry all {(8 + 4 + 3) * BATCHES}<" in page


@pytest.mark.parametrize("page", ["recipients", "retry", "suppress", "export"])
@pytest.mark.parametrize("filter_", ["state=nonsense", "reason=nonsense"])
def test_a_filter_with_an_unknown_name_is_refused(
    console: httpx.Client, campaign: str, page: str, filter_: str
) -> None:
    """It would otherwise choose every recipient."""
    answer = console.get(f"/campaigns/{campaign}/{page}?{filter_}")

    assert answer.status_code == 422
    assert "not valid" in answer.text
