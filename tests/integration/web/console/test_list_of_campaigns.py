"""The console's list of campaigns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pydantic import SecretStr

from gatepost_operations.web.console.app import create_app
from support.console_server import WebServer
from support.keys import KEYS

if TYPE_CHECKING:
    import httpx
    import redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings


def test_campaigns_are_listed_newest_first_in_pages(console: httpx.Client, campaigns: Campaigns) -> None:
    """A page has fifty campaigns, and links to the next."""
    for number in range(51):
        campaigns.create(f"wave {number}")
        time.sleep(0.002)  # campaigns of one millisecond have no order

    first, second = console.get("/campaigns").text, console.get("/campaigns?page=2").text

    assert first.index("wave 50") < first.index("wave 49")
    assert "1 to 50 of 51" in first
    assert "wave 0<" not in first
    assert "wave 0<" in second


def test_a_campaign_is_found_by_part_of_its_name_or_by_its_id(console: httpx.Client, campaigns: Campaigns) -> None:
    """The case of letters does not matter."""
    spring = campaigns.create("Spring invitation")
    campaigns.create("autumn")

    by_name, by_id = (console.get("/campaigns", params={"find": words}).text for words in ("spring", spring[:8]))

    for page in (by_name, by_id):
        assert "Spring invitation" in page
        assert "autumn" not in page


def test_campaigns_are_filtered_by_status(console: httpx.Client, campaigns: Campaigns) -> None:
    """Other statuses are left out."""
    campaigns.cancel(campaigns.create("stopped"))
    campaigns.create("kept")

    page = console.get("/campaigns?status=draft").text

    assert "kept" in page
    assert "stopped" not in page


def test_a_name_is_escaped(console: httpx.Client, campaigns: Campaigns) -> None:
    """A campaign's name is text, never markup."""
    campaigns.create("<script>alert(1)</script>")

    page = console.get("/campaigns").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_without_an_operator_no_page_is_served(settings: Settings) -> None:
    """Only static files are public."""
    with WebServer(create_app(settings, "http://127.0.0.1:1", SecretStr("key"))) as server:
        refused, style = (server.browser.get(path) for path in ("/campaigns", "/static/console.css"))

    assert (refused.status_code, style.status_code) == (303, 200)
    assert refused.headers["location"] == "/sign-in?next=%2Fcampaigns"


def test_the_console_drops_keys_and_credentials(settings: Settings) -> None:
    """A console that is started with a worker's configuration still cannot open an address."""
    kept = create_app(settings, "http://127.0.0.1:1", SecretStr("key")).state.console.settings

    assert kept.sealing_keys == ()
    assert kept.fingerprint_key is None
    assert kept.auth0_client_secret is None


def test_a_campaign_of_a_newer_version_hides_no_other(
    console: httpx.Client, campaigns: Campaigns, redis_client: redis.Redis
) -> None:
    """While two versions run beside each other, the pages of the older one still work."""
    campaigns.create("known")
    newer = campaigns.create("from the future")
    redis_client.hset(KEYS.campaign(newer), "form", 2)

    page, own = console.get("/campaigns").text, console.get(f"/campaigns/{newer}")

    assert "known" in page
    assert "1 campaign of this page cannot be read" in page
    assert own.status_code == 409
    assert "newer version" in own.text
