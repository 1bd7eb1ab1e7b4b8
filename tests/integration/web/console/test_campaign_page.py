"""The console's page of one campaign, and its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.model import Options
from support.campaign_parts import rows
from support.console_data import enlarge
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    import redis

    from gatepost.campaigns.control import Campaigns


@pytest.fixture
def draft(campaigns: Campaigns) -> str:
    """A draft with three recipients."""
    campaign_id = campaigns.create("Spring invitation", Options(rate=20))
    campaigns.add(campaign_id, rows(3))
    return campaign_id


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Give the events of a stream with their data."""
    name, data = "", []
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not line and data:
            yield name, "\n".join(data)
            name, data = "", []


def test_the_page_shows_counts_options_and_what_to_do(console: httpx.Client, draft: str) -> None:
    """A draft says that nothing is sent yet."""
    page = console.get(f"/campaigns/{draft}").text

    assert "3 recipients, 0 done" in page
    assert "Nothing is sent before the campaign is started." in page
    assert f'hx-sse:connect="/campaigns/{draft}/live"' in page
    assert "20" in page


def test_reasons_are_shown_with_their_advice(console: httpx.Client, draft: str, redis_client: redis.Redis) -> None:
    """Each reason links to its recipients."""
    enlarge(redis_client, draft, 4)

    page = console.get(f"/campaigns/{draft}").text

    assert f'href="/campaigns/{draft}/recipients?state=rejected&amp;reason=recipient_rejected"' in page
    assert "1,024 recipients, 784 done" in page
    assert "Auth0" in page


def test_the_stream_follows_a_campaign_and_ends_with_it(
    console: httpx.Client, campaigns: Campaigns, draft: str
) -> None:
    """A change by another operator arrives; after the end of the campaign the server closes the stream."""
    seen = []
    with console.stream("GET", f"/campaigns/{draft}/live") as answer:
        for event, data in _events(answer.iter_lines()):
            seen.append((event, data))
            if len(seen) == 1:
                campaigns.cancel(draft)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert ">draft<" in seen[0][1]
    assert ">cancelled<" in seen[-2][1]
    assert seen[-1] == ("over", "over")


def test_a_campaign_that_is_over_has_no_stream(console: httpx.Client, campaigns: Campaigns, draft: str) -> None:
    """A page that cannot change does not ask again."""
    campaigns.cancel(draft)

    assert "hx-sse:connect" not in console.get(f"/campaigns/{draft}").text


def test_a_campaign_that_does_not_exist_is_a_page(console: httpx.Client) -> None:
    """The page says so with status 404; so does an id that is none."""
    missing = console.get("/campaigns/00000000-0000-4000-8000-000000000000")

    assert missing.status_code == 404
    assert "There is no such campaign." in missing.text
    assert console.get("/campaigns/none").status_code == 404


def test_a_deleted_campaign_ends_its_stream(console: httpx.Client, campaigns: Campaigns, draft: str) -> None:
    """The browser does not ask for it for ever."""
    with console.stream("GET", f"/campaigns/{draft}/live") as answer:
        events = _events(answer.iter_lines())
        next(events)
        campaigns.delete(draft)
        names = [name for name, _ in events]

    assert names[-1] == "over"


def test_a_malformed_request_is_answered_without_its_values(console: httpx.Client, draft: str) -> None:
    """FastAPI's own answer would repeat an address that was typed into the wrong field."""
    refused = console.get(f"/campaigns/{draft}/recipients", params={"first": "canary@example.com"})

    assert refused.status_code == 422
    assert "first" in refused.text
    assert "canary" not in refused.text


def test_a_page_follows_its_campaign_beside_one_that_cannot_be_read(
    console: httpx.Client, campaigns: Campaigns, draft: str, redis_client: redis.Redis
) -> None:
    """A damaged or newer record does not end the thread that reads all campaigns."""
    damaged = campaigns.create("damaged")
    redis_client.sadd(KEYS.active_campaigns, KEYS.campaign(damaged))
    redis_client.hdel(KEYS.campaign(damaged), "options")
    with console.stream("GET", f"/campaigns/{draft}/live") as answer:
        events = _events(answer.iter_lines())
        next(events)
        campaigns.pause(campaigns.start(draft).campaign_id)
        data = next(data for _, data in events if ">paused<" in data)

    assert "Spring invitation" in data
