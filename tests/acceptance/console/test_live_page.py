"""A campaign's page connects to its stream, whatever happens to the first tries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost.campaigns.control import Campaigns
from support.campaign_parts import rows
from support.console_journey import console_of, operator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

    from gatepost_core.settings import Settings

pytestmark = pytest.mark.web


def test_a_page_whose_first_connections_fail_connects_again(browser: Browser, settings: Settings) -> None:
    """Neither a refused connection nor an error of the server replaces what the page shows."""
    tries = []

    def fail_twice(route: Route) -> None:
        tries.append(route.request.url)
        match len(tries):
            case 1:
                route.fulfill(status=503, body="<p>not available</p>", content_type="text/html")
            case 2:
                route.abort()
            case _:
                route.continue_()

    with Campaigns(settings) as campaigns:
        campaign_id = campaigns.create("Spring invitation")
        campaigns.add(campaign_id, rows(20))
        with console_of(settings) as (console, _), operator(browser, console) as journey:
            journey.page.route("**/live", fail_twice)
            journey.goto(f"/campaigns/{campaign_id}")
            journey.page.get_by_text("The console does not answer.").wait_for()
            shown = journey.page.get_by_text("20 recipients, 0 done").count()
            campaigns.add(campaign_id, rows(5, first=20))
            journey.page.get_by_text("25 recipients, 0 done").wait_for()
            journey.page.get_by_text("The console does not answer.").wait_for(state="hidden")

    assert shown == 1
    assert len(tries) >= 3
