"""An operator's afternoon in a browser, in short: a file, a campaign, its progress, its failures, its addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from gatepost.campaigns.control import Campaigns
from gatepost_core.audit_log import AuditLog
from gatepost_core.campaigns.model import Status
from gatepost_core.states import State
from support.console_journey import console_of, operator, people
from support.keys import KEYS
from support.page_checks import axe_violations

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from support.stack import Stack


def test_an_operator_runs_a_campaign_from_the_file_to_the_export(
    browser: Browser, stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The report comes before the draft, the page follows the sends, and only the revealed address was ever shown."""
    caplog.set_level("DEBUG")
    file = people(tmp_path / "people.csv", 40, {"bad-email": 3})
    with file.open("a") as rows:
        rows.write("canary at example.com,en\n")
    stack.worker("gatepost.login,gatepost.send,gatepost.bulk")
    with console_of(stack.settings) as (console, recorder), operator(browser, console) as journey:
        page = journey.page
        journey.goto("/campaigns")
        journey.press("New campaign", role="link")
        page.set_input_files("#file", file)
        journey.press("Check the file")
        page.get_by_text("1 row is invalid and will be left out").wait_for()
        with Campaigns(stack.settings) as campaigns:
            created_before = campaigns.list()
        page.get_by_label("Name", exact=True).fill("Spring invitation")
        journey.press("Create a draft with 43 recipients")
        page.get_by_text("The campaign was created as a draft.").wait_for()
        journey.press("Send a test", role="link")
        page.get_by_label("Your e-mail address or phone number").fill("tester@example.com")
        journey.press("Send the test")
        page.get_by_text("The test message was handed to Auth0.").wait_for()
        journey.press("Plan", role="link")
        journey.press("Start")
        page.get_by_text("43 recipients, 43 done").wait_for()
        page.locator("#live .tag.finished").wait_for()
        violations = axe_violations(page)
        journey.press("rejected", role="link")
        page.get_by_role("button", name=re.compile("Reveal the address of recipient")).first.click()
        page.get_by_text(re.compile(r"canary\d\+bad-email@example.com")).wait_for()
        journey.press("Retry all 3", role="link")
        page.get_by_role("checkbox").check()
        journey.press("Count them")
        page.get_by_text("3 recipients would be queued again.").wait_for()
        journey.press("Retry 3 recipients")
        page.get_by_text("The recipients are queued again.").wait_for()
        page.locator("#live .tag.finished").wait_for()
        journey.goto(f"/campaigns/{journey.campaign_id}/export?state=rejected")
        with page.expect_download() as download:
            journey.press("Export 3 recipients")
        exported = download.value.path().read_text()
        campaign_id = journey.campaign_id
    with Campaigns(stack.settings) as campaigns:
        campaign = campaigns.status(campaign_id)

    assert created_before == []
    assert (campaign.status, campaign.counts[State.ACCEPTED], campaign.counts[State.REJECTED]) == (
        Status.FINISHED,
        40,
        3,
    )
    assert exported.count("+bad-email@example.com") == 3
    assert stack.simulator.control.count("tester@example.com") == 1
    assert (journey.refused, journey.complaints, journey.elsewhere, violations) == ([], [], [], [])
    shown = [url.partition("?")[0].rpartition("/")[2] for url in recorder.showing("canary")]
    assert shown == ["reveal", "export"]
    assert "tester@" not in "".join(answer for _, answer in recorder.answers)
    assert "canary" not in caplog.text
    with stack.redis() as client:
        entries = list(AuditLog(client, KEYS, stack.settings.fingerprints()).entries())
    assert {entry.action for entry in entries} >= {
        "campaign.create",
        "campaign.start",
        "campaign.reveal",
        "campaign.retry",
        "campaign.export",
    }
    assert {entry.who for entry in entries} == {"ada"}
