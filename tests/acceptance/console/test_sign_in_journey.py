"""A browser at the console: signing in by keyboard, pages that ask no other site, and another site that tries to act."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gatepost import Producer
from gatepost_core.audit_log import AuditLog
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.kinds import Lane
from gatepost_operations.web.console.security.operators import Level
from gatepost_worker.limiter import LimiterKey
from support.accessibility import axe_violations
from support.checkout import CHECKOUT
from support.console_accounts import PASSWORD, SignedInConsole, console_with_accounts
from support.keys import KEYS
from support.limiter_desk import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import redis
    from playwright.sync_api import Browser, Page

    from gatepost_core.settings import Settings

pytestmark = pytest.mark.web

SIZES = {"phone": (360, 740), "tablet": (768, 1024), "desktop": (1280, 900)}
PAGES = (
    "operations",
    "dead-letters",
    "dead-letters/replay",
    "dead-letters/drop",
    "workers",
    "workers/answers",
    "quota",
    "suppression",
    "audit",
)
SCREENS = CHECKOUT / "build" / "screens" / "console"


@pytest.fixture
def console(settings: Settings, tmp_path: Path) -> Iterator[SignedInConsole]:
    """A console with local accounts."""
    with console_with_accounts(settings, tmp_path) as served:
        yield served


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser without cookies."""
    context = browser.new_context()
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def _work(settings: Settings, redis_client: redis.Redis) -> None:
    """Something on every page."""
    with Producer(settings) as producer:
        _fill(producer, settings, redis_client)


def _fill(producer: Producer, settings: Settings, redis_client: redis.Redis) -> None:
    campaigns = producer.campaigns
    producer.handle(producer.send_email("ana@example.com").operation_id).cancel()
    producer.login_with_email("ana@example.com", "123456")
    letters = DeadLetters(redis_client, KEYS, settings.keyring())
    for reason in ("there is no such task: shop.tasks.send", "the body is not JSON", "an argument is unknown"):
        letters.add({"raw": "{}"}, reason=reason, queue="gatepost.send")
    campaigns.suppressions.add("otto@example.com")
    campaign_id = campaigns.create("Spring invitation for customers of the northern branch")
    campaigns.cancel(campaign_id)
    AuditLog(redis_client, KEYS, settings.fingerprints(), who="ada@example.com").record("keys.rotate", sealed=12_000)
    redis_client.hset(
        KEYS.tenants, mapping={"default": "Xy12@acme.eu.auth0.com", "globex": "Ab34@login.globex.example"}
    )
    desk = Desk(redis_client)
    key = LimiterKey("globex", "passwordless/start")
    ticket = desk.limiter.acquire(key, Lane.INTERACTIVE).first_ticket  # type: ignore[union-attr]
    desk.now += 0.1
    desk.limiter.observe(key, [desk.reading(ticket, limit=50, remaining=37)])


def sign_in(console: SignedInConsole, page: Page, name: str, path: str = "/campaigns") -> None:
    """Sign in with the keyboard alone."""
    page.goto(f"{console.url}{path}")
    page.get_by_label("Name").wait_for()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{path}")


def test_an_operator_signs_in_and_out_by_keyboard(console: SignedInConsole, page: Page) -> None:
    """The first field has the focus, a wrong password is announced, and the browser keeps the cookie from scripts."""
    page.goto(console.url)
    page.keyboard.type("otto")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    told = page.get_by_role("alert").inner_text()
    sign_in(console, page, "otto", "/audit")
    (cookie,) = [one for one in page.context.cookies() if "session" in one["name"]]
    readable = page.evaluate("document.cookie")
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in")

    assert told == "The name or the password is wrong."
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert readable == ""


@pytest.mark.usefixtures("_work")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_suit_every_size_and_axe_finds_nothing(
    console: SignedInConsole, browser: Browser, scheme: str
) -> None:
    """No page is wider than a phone, asks another site, or breaks the content security policy."""
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    hosts: set[str] = set()
    faults: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("console", lambda line: faults.append(line.text) if line.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{console.url}/sign-in")
    found = look(page, "sign-in", scheme)
    sign_in(console, page, "ada")
    for path in PAGES:
        page.goto(f"{console.url}/{path}")
        found |= look(page, path.replace("/", "-"), scheme)
    page.goto(f"{console.url}/dead-letters")
    page.get_by_role("link", name="the body is not JSON").click()
    found |= look(page, "dead-letter", scheme)
    page.get_by_role("link", name="Drop …").click()
    found |= look(page, "drop", scheme)
    context.close()

    assert found == {}
    assert hosts == {urlsplit(console.url).netloc}
    assert faults == []


def look(page: Page, name: str, scheme: str) -> dict[str, list[str]]:
    """Return the problems of a page at each size, and keep a picture of each."""
    found = {}
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        wrong = axe_violations(page)
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wrong.append("wider than the screen")
        page.screenshot(path=SCREENS / f"{name}-{size}-{scheme}.png", full_page=True)
        if wrong:
            found[f"{name} {size}"] = wrong
    return found


@pytest.mark.usefixtures("_work")
def test_workers_are_asked_by_the_page_itself(console: SignedInConsole, page: Page) -> None:
    """The answer appears without a click, and is announced to a screen reader."""
    sign_in(console, page, "rita", "/workers")
    page.get_by_text("No worker answered within two seconds").wait_for()

    assert page.locator("#workers").get_attribute("aria-live") == "polite"


@pytest.mark.usefixtures("_work")
def test_another_site_cannot_act_in_the_operators_browser(console: SignedInConsole, page: Page) -> None:
    """Its form is refused, its frame stays empty, and its script reads nothing."""
    sign_in(console, page, "ada")
    target = f"{console.url}/suppression/add"
    form = f'<form method="post" action="{target}"><input name="recipient" value="x@example.com"></form>'
    attack = f"<iframe src='{console.url}/campaigns'></iframe>{form}"
    with other_site(attack) as url:
        page.goto(url)
        read = page.evaluate(
            f"fetch('{console.url}/audit', {{credentials: 'include'}}).then(() => 'read', () => 'refused')"
        )
        framed = page.frames[1].evaluate("document.body.innerText")
        page.evaluate("document.forms[0].submit()")
        page.wait_for_url(target)
        refused = page.inner_text("main")
    page.goto(f"{console.url}/campaigns")

    assert read == "refused"
    assert "Campaigns" not in framed
    assert "did not come from a page of this console" in refused
    assert "ada, admin" in page.inner_text("header")


class other_site:  # noqa: N801 - used as a function
    """Serves one page under another host name."""

    def __init__(self, content: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://localhost:{self._server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_levels_are_shown_in_pages_as_they_are_enforced(console: SignedInConsole, page: Page) -> None:
    """A read-only operator sees no form that changes the suppression list."""
    shown = {}
    for level, name in ((Level.READ_ONLY, "rita"), (Level.OPERATOR, "otto"), (Level.ADMIN, "ada")):
        sign_in(console, page, name, "/suppression")
        shown[level] = page.locator("main").get_by_role("button").all_inner_texts()
        page.get_by_role("button", name="Sign out").click()

    assert shown == {
        Level.READ_ONLY: [],
        Level.OPERATOR: ["Look up", "Add or change"],
        Level.ADMIN: ["Look up", "Add or change", "Remove"],
    }
