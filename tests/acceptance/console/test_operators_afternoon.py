"""An operator's afternoon at the console as `gatepost web` starts it, while a worker is killed and Redis stops for ten seconds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatepost.campaigns.control import Campaigns
from gatepost_core.states import State
from support.accessibility import axe_violations
from support.console_journey import API_KEY, operator, people

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

    from support.console_journey import Journey
    from support.stack import Program, Stack

pytestmark = [pytest.mark.web, pytest.mark.timeout(600)]

PASSWORD = "a long password of the test"
SIZES = ((360, 740), (768, 1024), (1280, 900))
STOPPED_S = 10
# Open streams end at once; the grace period for requests is longer.
LONGEST_END_S = 20
# Set it to a directory to keep the screenshots of the documentation.
SCREENSHOTS = os.environ.get("SCREENSHOTS")


class Console:
    """The console's process.

    Attributes:
        url: its base URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url


def _url_of(stack: Stack, program: Program, role: str) -> str:
    pattern = re.compile(rf"^{role} +(http\S+)$", re.MULTILINE)
    stack.until(lambda: pattern.search(program.output()) is not None, f"the {role} serves", program)
    return pattern.search(program.output())[1]  # type: ignore[index] # `until` found it


@pytest.fixture
def web(stack: Stack, tmp_path: Path) -> tuple[Console, Program]:
    """The API and the console as processes, with one local account."""
    stack.environment["GATEPOST_CONSOLE_USERS"] = str(tmp_path / "accounts" / "console-users")
    gatepost = ["-m", "gatepost_operations.cli"]
    subprocess.run(
        [sys.executable, *gatepost, "console-users", "add", "ada", "--level", "admin"],
        input=f"{PASSWORD}\n",
        text=True,
        env={**os.environ, **stack.environment},
        check=True,
        capture_output=True,
    )
    key = {"GATEPOST_WEB_API_KEY": API_KEY.get_secret_value()}
    api = stack.start("api", *gatepost, "web", "--role", "api", "--port", "0", **key)
    url = {"GATEPOST_WEB_API_URL": _url_of(stack, api, "api")}
    console = stack.start("console", *gatepost, "web", "--role", "console", "--port", "0", **key, **url)
    return Console(_url_of(stack, console, "console")), console


def _sign_in(journey: Journey) -> None:
    journey.goto("/")
    journey.page.get_by_label("Name").fill("ada")
    journey.page.get_by_label("Password").fill(PASSWORD)
    journey.press("Sign in")
    journey.page.get_by_role("heading", name="Campaigns", exact=True).wait_for()


def _done(journey: Journey) -> int:
    text = journey.page.locator("#states").inner_text()
    return int(re.search(r"([\d,]+) done", text)[1].replace(",", ""))  # type: ignore[index] # the page has it


def _keep(journey: Journey, name: str, size: tuple[int, int] = (1280, 860), scheme: str = "light") -> None:
    if SCREENSHOTS:
        journey.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # Playwright's words
        journey.page.set_viewport_size({"width": size[0], "height": size[1]})
        journey.page.screenshot(path=Path(SCREENSHOTS) / f"console-{name}.png")
        journey.page.emulate_media(color_scheme="light")
        journey.page.set_viewport_size({"width": 1280, "height": 900})


def test_an_afternoon_with_a_killed_worker_and_a_stopped_redis(
    browser: Browser, stack: Stack, web: tuple[Console, Program], tmp_path: Path
) -> None:
    """The page follows all of it without a reload, and every recipient ends in one state."""
    served, console = web
    stack.simulator.control.set_quota(plan="enterprise")
    workers = [stack.worker("gatepost.bulk", "-c", "2") for _ in range(2)]
    stack.worker("gatepost.login,gatepost.send")
    stack.beat()
    with operator(browser, served) as journey:
        _sign_in(journey)
        _start(journey, people(tmp_path / "people.csv", 1450, {"bad-email": 40, "drop-after": 10}))
        page = journey.page
        violations = _axe_at_all_sizes(journey)
        workers[0].kill()
        page.get_by_text(re.compile("bulk worker gone")).wait_for(timeout=60_000)
        _goes_on(journey)
        _stop_redis(stack, journey)
        _goes_on(journey)
        moved_while_hidden = _in_a_hidden_tab(journey)
        _change_while_paused(journey)
        page.locator("#live .tag.finished").wait_for(timeout=120_000)
        _keep(journey, "finished")
        journey.goto("/campaigns")
        _keep(journey, "campaigns", (1280, 420))
        journey.goto(f"/campaigns/{_draft(stack)}")
        complaints = [text for text in journey.complaints if "Failed to load resource" not in text]
        began = time.monotonic()
        console.terminate()
        code = console.wait()
        took_s = time.monotonic() - began
        page.get_by_text("The console does not answer.").wait_for()
    with Campaigns(stack.settings) as campaigns:
        _, campaign = campaigns.list()

    assert (campaign.adds_up, campaign.done, campaign.total) == (True, 1500, 1500)
    assert campaign.counts[State.REJECTED] == 40
    assert moved_while_hidden == 0
    assert violations == {}
    assert (complaints, journey.elsewhere) == ([], [])
    assert (code, took_s < LONGEST_END_S) == (0, True)
    assert "canary" not in console.output()


def _start(journey: Journey, file: Path) -> None:
    page = journey.page
    journey.press("New campaign", role="link")
    page.set_input_files("#file", file)
    journey.press("Check the file")
    page.get_by_text("1,500 valid").wait_for()
    page.get_by_label("Name", exact=True).fill("Spring invitation")
    page.get_by_label("Most recipients a second").fill("25")
    _keep(journey, "report", (1280, 1000))
    journey.press("Create a draft with 1,500 recipients")
    journey.press("Start")
    page.get_by_text("The campaign was started.").wait_for()
    page.get_by_text("2 workers for campaigns").wait_for()
    _until(lambda: _done(journey) > 100, 60)


def _goes_on(journey: Journey) -> None:
    """Wait until the page has followed twenty recipients more."""
    done = _done(journey)
    _until(lambda: _done(journey) > done + 20, 60)


def _stop_redis(stack: Stack, journey: Journey) -> None:
    lost = re.compile(r"Connection to Redis lost since \d\d:\d\d:\d\d")
    os.kill(stack.valkey.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        journey.page.get_by_text(lost).wait_for(timeout=STOPPED_S * 1000)
        _keep(journey, "lost")
        time.sleep(max(0.0, STOPPED_S - (time.monotonic() - began)))
    finally:
        os.kill(stack.valkey.pid, signal.SIGCONT)
    journey.page.get_by_text(re.compile("connection back after")).wait_for()
    assert journey.page.get_by_text(lost).count() == 0


def _change_while_paused(journey: Journey) -> None:
    page = journey.page
    journey.press("Pause")
    page.locator("#live .tag.paused").wait_for()
    journey.press("Change", role="link")
    page.get_by_label("Most recipients a second").fill("200")
    journey.press("Change")
    page.get_by_text("The options were changed.").wait_for()
    journey.press("Resume")
    page.locator("#live .tag.running").wait_for()
    page.wait_for_timeout(4000)
    _keep(journey, "campaign", (1280, 1120))
    _keep(journey, "campaign-phone", (360, 740), "dark")


def _draft(stack: Stack) -> str:
    with Campaigns(stack.settings) as campaigns:
        return campaigns.create("a draft, whose page has an open stream")


def _axe_at_all_sizes(journey: Journey) -> dict[str, list[str]]:
    found = {}
    for scheme in ("light", "dark"):
        journey.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # Playwright's words
        for width, height in SIZES:
            journey.page.set_viewport_size({"width": width, "height": height})
            if violations := axe_violations(journey.page):
                found[f"{width} {scheme}"] = violations
    journey.page.emulate_media(color_scheme="light")
    return found


def _in_a_hidden_tab(journey: Journey) -> int:
    """Return by how much the page moved while its tab was hidden for three seconds. It then moves again."""
    page = journey.page
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => window.isHidden, configurable: true});"
        "window.isHidden = true; document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_timeout(500)
    before = _done(journey)
    page.wait_for_timeout(3000)
    moved = _done(journey) - before
    page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")
    _until(lambda: _done(journey) > before, 30)
    return moved


def _until(holds: Callable[[], bool], seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.2)
