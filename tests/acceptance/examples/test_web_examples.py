"""The example applications, in a real browser: the address, the code from the inbox, and the greeting."""

from __future__ import annotations

import base64
import os
import re
import secrets
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from support.browser import chromium
from support.checkout import CHECKOUT
from support.free_ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from gatepost_testing.world import World

    Serve = Callable[[list[str]], str]

EXAMPLES = CHECKOUT / "examples"
START_S = 30


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a person who was never here."""
    context = browser.new_context()
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def serve(request: pytest.FixtureRequest, gatepost_world: World, tmp_path: Path) -> Iterator[Serve]:
    """Return a function that starts an example's server and returns its URL."""
    servers: list[subprocess.Popen[bytes]] = []
    port = free_port()

    def start(command: list[str]) -> str:
        environment = {
            **os.environ,
            **gatepost_world.environment,
            "SESSION_SECRET": secrets.token_hex(32),
            "DATABASE": str(tmp_path / "example.sqlite3"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        directory = EXAMPLES / request.param
        if request.param == "django":
            migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
            subprocess.run(migrate, cwd=directory, env=environment, check=True)
        filled = [sys.executable, *(word.format(port=port) for word in command)]
        with (tmp_path / "server.log").open("wb") as log:
            servers.append(
                subprocess.Popen(filled, cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT)
            )
        url = f"http://127.0.0.1:{port}"
        for _ in range(START_S * 10):
            try:
                with urlopen(url):
                    return url
            except OSError:
                time.sleep(0.1)
        pytest.fail((tmp_path / "server.log").read_text())

    yield start
    for server in servers:
        server.terminate()
        server.wait(10)


def session_id(page: Page) -> str:
    """Return the part of the session's cookie that is not a signature."""
    [cookie] = [one for one in page.context.cookies() if "session" in str(one.get("name"))]
    return str(cookie.get("value")).partition(".")[0]


def readable_cookies(page: Page) -> str:
    """Return all cookies, as they are and with their base64 decoded."""
    values = [str(cookie.get("value")) for cookie in page.context.cookies()]
    parts = [part for value in values for part in re.split(r"[^\w+/=-]", value)]
    decoded = [base64.urlsafe_b64decode(f"{part}==").decode("latin-1") for part in parts if len(part) % 4 != 1]
    return "\n".join([*values, *decoded])


COMMANDS = {
    "fastapi": ["-m", "uvicorn", "app:app", "--port", "{port}"],
    "django": ["manage.py", "runserver", "--noreload", "127.0.0.1:{port}"],
}


@pytest.mark.parametrize("serve", COMMANDS, indirect=True)
def test_a_person_logs_in(request: pytest.FixtureRequest, serve: Serve, page: Page, gatepost_world: World) -> None:
    """A wrong code is asked for again; the right one greets the person, and a second visit knows them."""
    name = request.node.callspec.params["serve"]
    person = f"{uuid.uuid4().hex}@example.com"
    url = serve(COMMANDS[name])
    page.goto(url)
    page.get_by_label("E-mail").fill(person)
    page.get_by_role("button").click()
    page.get_by_label("Code").wait_for()
    code = gatepost_world.outbox.code_for(person)
    page.get_by_label("Code").fill(f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}")
    page.get_by_role("button").click()
    page.get_by_text("This is not the code").wait_for()
    before = session_id(page)
    page.get_by_label("Code").fill(code)
    page.get_by_role("button").click()
    page.get_by_role("heading", name=f"Welcome, {person}").wait_for()
    page.goto(url)

    assert page.get_by_role("heading").inner_text() == f"Welcome, {person}"
    assert session_id(page) != before


@pytest.mark.parametrize("serve", COMMANDS, indirect=True)
@pytest.mark.gatepost_settings(slow_s=0)
def test_a_login_that_takes_longer_than_a_request(
    request: pytest.FixtureRequest, serve: Serve, page: Page, gatepost_world: World
) -> None:
    """The page asks for patience, looks again by itself, and greets the person. Meanwhile the browser has no reference of the login."""
    person = f"{uuid.uuid4().hex}@example.com"
    page.goto(serve(COMMANDS[request.node.callspec.params["serve"]]))
    page.get_by_label("E-mail").fill(person)
    page.get_by_role("button").click()
    page.get_by_label("Code").fill(gatepost_world.outbox.code_for(person))
    gatepost_world.control.script_fault(endpoint="/oauth/token", delay_s=10)
    page.get_by_role("button").click()
    page.get_by_text("Please wait").wait_for()
    held = readable_cookies(page)
    page.get_by_role("heading", name=f"Welcome, {person}").wait_for()

    assert session_id(page)
    assert person not in held
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", held)
