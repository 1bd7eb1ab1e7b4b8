"""An operator's afternoon in a browser, in short: a file, a campaign, its progress, its failures, its addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatepost.campaigns.control import Campaigns
from gatepost_core.audit_log import AuditLog
from gatepost_core.campaigns.model import Status
from gatepost_core.states import State
from support.accessibility import axe_violations
from support.console_journey import console_of, operator, people
from support.keys import KEYS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from playwright.sync_api import Browser

    from support.console_journey import Journey
    from support.stack import Stack

ACTS = {"campaign.create", "campaign.add", "campaign.start", "campaign.reveal", "campaign.retry", "campaign.export"}


def test_an_operator_runs_a_campaign_from_the_file_to_the_export(
    browser: Browser, stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The report comes before the draft, the page follows the sends, and only the revealed addresses were ever shown."""
    caplog.set_level("DEBUG")
    file = people(tmp_path / "people.csv", 40, {"bad-email": 3})
    with file.open("a") as rows:
        rows.write("canary at example.com,en\n")
    stack.worker("gatepost.login,gatepost.send,gatepost.bulk")
    with console_of(stack.settings) as (console, recorder), operator(browser, console) as journey:
        _check(journey, file)
        with Campaigns(stack.settings) as campaigns:
            before = campaigns.list()
        _create(journey)
        _send_a_test(journey)
        violations = _start(journey)
        _reveal_one_of_the_rejected(journey)
        _retry_the_rejected(journey)
        exported = _export_the_rejected(journey)
    with Campaigns(stack.settings) as campaigns:
        [campaign] = campaigns.list()
    with stack.redis() as client:
        entries = list(AuditLog(client, KEYS, stack.settings.fingerprints()).entries())

    assert before == []
    counts = {state: campaign.counts[state] for state in (State.ACCEPTED, State.REJECTED)}
    assert (campaign.status, counts) == (Status.FINISHED, {State.ACCEPTED: 40, State.REJECTED: 3})
    assert exported.count("+bad-email@example.com") == 3
    assert stack.simulator.control.count("tester@example.com") == 1
    assert (journey.refused, journey.complaints, journey.elsewhere, violations) == ([], [], [], [])
    shown = [url.partition("?")[0].rpartition("/")[2] for url in recorder.showing("canary")]
    assert shown == ["reveal", "export"]
    assert recorder.showing("tester@") == []
    assert "canary" not in caplog.text
    assert {entry.action for entry in entries} >= ACTS
    assert {entry.who for entry in entries} == {"ada"}


def _check(journey: Journey, file: Path) -> None:
    journey.goto("/campaigns")
    journey.press("New campaign", role="link")
    journey.page.set_input_files("#file", file)
    journey.press("Check the file")
    journey.page.get_by_text("1 row is invalid and will be left out").wait_for()
    journey.page.set_viewport_size({"width": 360, "height": 740})
    assert axe_violations(journey.page) == []
    assert journey.page.evaluate("document.documentElement.scrollWidth") == 360
    journey.page.set_viewport_size({"width": 1280, "height": 900})


def _create(journey: Journey) -> None:
    journey.page.get_by_label("Name", exact=True).fill("Spring invitation")
    journey.press("Create a draft with 43 recipients")
    journey.page.get_by_text("The campaign was created as a draft.").wait_for()


def _send_a_test(journey: Journey) -> None:
    journey.press("Send a test", role="link")
    journey.page.get_by_label("Your e-mail address or phone number").fill("tester@example.com")
    journey.press("Send the test")
    journey.page.get_by_text("The test message was handed to Auth0.").wait_for()


def _start(journey: Journey) -> list[str]:
    """Start from the plan, wait for the end, and return what axe-core finds."""
    journey.press("Plan", role="link")
    journey.page.get_by_role("heading", name="Plan", exact=True).wait_for()
    journey.press("Start")
    journey.page.get_by_text("43 recipients, 43 done").wait_for()
    journey.page.locator("#live .tag.finished").wait_for()
    return axe_violations(journey.page)


def _reveal_one_of_the_rejected(journey: Journey) -> None:
    journey.press("rejected", role="link")
    journey.page.get_by_role("button", name=re.compile("Reveal the address of recipient")).first.click()
    journey.page.get_by_text(re.compile(r"canary\d\+bad-email@example.com")).wait_for()


def _retry_the_rejected(journey: Journey) -> None:
    journey.press("Retry all 3", role="link")
    journey.page.get_by_role("checkbox").check()
    journey.press("Count them")
    journey.page.get_by_text("3 recipients would be queued again.").wait_for()
    journey.press("Retry 3 recipients")
    journey.page.get_by_text("The recipients are queued again.").wait_for()
    journey.page.locator("#live .tag.finished").wait_for()


def _export_the_rejected(journey: Journey) -> str:
    journey.goto(f"/campaigns/{journey.campaign_id}/export?state=rejected")
    with journey.page.expect_download() as download:
        journey.press("Export 3 recipients")
    return download.value.path().read_text()
