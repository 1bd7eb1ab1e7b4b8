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
from support.console_journey import API_KEY, operator, people
from support.page_checks import axe_violations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from support.console_journey import Journey
    from support.stack import Program, Stack

pytestmark = [pytest.mark.web, pytest.mark.timeout(600)]

PASSWORD = "a long password of the test"
SIZES = ((360, 740), (768, 1024), (1280, 900))
STOPPED_S = 10
# Set it to a directory to keep the screenshots of the documentation.
SCREENSHOTS = os.environ.get("SCREENSHOTS")


class Served:
    """A console whose URL its first line of output gives."""

    def __init__(self, url: str) -> None:
        self.url = url


def _url_of(stack: Stack, program: Program, role: str) -> str:
    pattern = re.compile(rf"^{role} +(http\S+)$", re.MULTILINE)
    stack.until(lambda: pattern.search(program.output()) is not None, f"the {role} serves", program)
    return pattern.search(program.output())[1]  # type: ignore[index] # `until` found it


@pytest.fixture
def web(stack: Stack, tmp_path: Path) -> Iterator[tuple[Served, Program]]:
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
    yield Served(_url_of(stack, console, "console")), console


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
    browser: Browser, stack: Stack, web: tuple[Served, Program], tmp_path: Path
) -> None:
    """The page follows all of it without a reload, and every recipient ends in one state."""
    served, console = web
    file = people(tmp_path / "people.csv", 1450, {"bad-email": 40, "drop-after": 10})
    workers = [stack.worker("gatepost.bulk", "-c", "2") for _ in range(2)]
    stack.worker("gatepost.login,gatepost.send")
    stack.beat()
    with operator(browser, served) as journey:  # type: ignore[arg-type] # it has a URL
        page = journey.page
        _sign_in(journey)
        journey.press("New campaign", role="link")
        page.set_input_files("#file", file)
        journey.press("Check the file")
        page.get_by_text("1,500 valid").wait_for()
        page.get_by_label("Name", exact=True).fill("Spring invitation")
        page.get_by_label("Most recipients a second").fill("25")
        _keep(journey, "report")
        journey.press("Create a draft with 1,500 recipients")
        journey.press("Start")
        page.get_by_text("The campaign was started.").wait_for()
        url = page.url
        _until(lambda: _done(journey) > 100, 60)
        page.get_by_text("2 workers for campaigns").wait_for()
        violations = _axe_at_all_sizes(journey)

        workers[0].kill()
        page.get_by_text(re.compile("bulk worker gone")).wait_for(timeout=60_000)
        done = _done(journey)
        _until(lambda: _done(journey) > done + 20, 60)

        os.kill(stack.valkey.pid, signal.SIGSTOP)
        began = time.monotonic()
        page.get_by_text(re.compile(r"Connection to Redis lost since \d\d:\d\d:\d\d")).wait_for(
            timeout=STOPPED_S * 1000
        )
        _keep(journey, "lost")
        time.sleep(max(0.0, STOPPED_S - (time.monotonic() - began)))
        os.kill(stack.valkey.pid, signal.SIGCONT)
        page.get_by_text(re.compile("connection back after")).wait_for()
        assert page.get_by_text("Connection to Redis lost since").count() == 0
        done = _done(journey)
        _until(lambda: _done(journey) > done + 20, 60)

        hidden = _in_a_hidden_tab(journey)
        journey.press("Pause")
        page.locator("#live .tag.paused").wait_for()
        journey.press("Change", role="link")
        page.get_by_label("Most recipients a second").fill("200")
        journey.press("Change")
        page.get_by_text("The options were changed.").wait_for()
        journey.press("Resume")
        page.locator("#live .tag.running").wait_for()
        _keep(journey, "campaign")
        _keep(journey, "campaign-phone", (360, 740), "dark")
        page.locator("#live .tag.finished").wait_for(timeout=120_000)
        assert page.url.partition("?")[0] == url.partition("?")[0]
        _keep(journey, "finished")
        journey.goto("/campaigns")
        _keep(journey, "campaigns", (1280, 420))
        complaints = [text for text in journey.complaints if "Failed to load resource" not in text]
    began = time.monotonic()
    console.terminate()
    code = console.wait()
    with Campaigns(stack.settings) as campaigns:
        [campaign] = campaigns.list()

    assert campaign.adds_up
    assert campaign.done == campaign.total == 1500
    assert campaign.counts[State.REJECTED] == 40
    assert hidden == 0
    assert violations == {}
    assert (complaints, journey.elsewhere) == ([], [])
    assert (code, time.monotonic() - began < 20) == (0, True)
    assert "canary" not in console.output()


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
