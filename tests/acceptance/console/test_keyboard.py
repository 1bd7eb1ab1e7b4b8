"""The console with the keyboard alone, while a page follows its campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Options, Status
from support.campaign_parts import rows
from support.console_journey import console_of, operator

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from gatepost_core.settings import Settings
    from support.console_journey import Journey


def _tab_to(journey: Journey, text: str) -> None:
    """Press Tab until the element with this text has the focus."""
    for _ in range(40):
        journey.page.keyboard.press("Tab")
        if _focused(journey) == text:
            return
    raise AssertionError(f"Tab does not reach {text}")


def _focused(journey: Journey) -> str:
    return str(journey.page.evaluate("document.activeElement.innerText.trim()"))


def test_a_campaign_is_paused_and_resumed_without_a_mouse(browser: Browser, settings: Settings) -> None:
    """The skip link comes first, and the focus stays where it is while the page changes under it."""
    with Campaigns(settings) as campaigns:
        campaign_id = campaigns.create("Spring invitation", Options(rate=1))
        campaigns.add(campaign_id, rows(20))
        campaigns.start(campaign_id)
        with console_of(settings) as (console, _), operator(browser, console) as journey:
            journey.goto("/campaigns")
            journey.page.keyboard.press("Tab")
            first = _focused(journey)
            journey.page.keyboard.press("Enter")
            _tab_to(journey, "Spring invitation")
            journey.page.keyboard.press("Enter")
            journey.page.get_by_text("20 recipients, 0 done").wait_for()
            _tab_to(journey, "Pause")
            campaigns.add(campaign_id, rows(5, first=20))
            journey.page.get_by_text("25 recipients, 0 done").wait_for()
            kept = _focused(journey)
            journey.page.keyboard.press("Enter")
            journey.page.locator("#live .tag.paused").wait_for()
            paused = campaigns.status(campaign_id).status

    assert (first, kept, paused) == ("Skip to the content", "Pause", Status.PAUSED)
    assert (journey.refused, journey.complaints, journey.elsewhere) == ([], [], [])
