"""Signing in to the console in a browser, at a real OpenID provider on loopback."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from gatepost_operations.web.console.app import create_app
from gatepost_operations.web.console.security.settings import ConsoleSettings
from support.console_server import WebServer
from support.free_ports import free_port
from support.node_packages import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from gatepost_core.settings import Settings

pytestmark = pytest.mark.web

SCRIPT = Path(__file__).with_name("oidc_provider.mjs")
VERSION = "9.5.2"


class SignInWorld:
    """A console, and the provider at which its operators sign in."""

    def __init__(self, console: str, provider: str) -> None:
        self.console = console
        self.provider = provider

    def sign_in(self, page: Page, name: str, path: str = "/campaigns") -> None:
        """Ask for a page, and sign in at the provider."""
        page.goto(f"{self.console}{path}")
        page.get_by_role("link", name="Sign in with your organization").click()
        page.get_by_placeholder("Enter any login").fill(name)
        page.get_by_placeholder("and password").fill("any")
        page.get_by_role("button", name="Sign-in").click()
        page.get_by_role("button", name="Continue").click()


@pytest.fixture
def world(settings: Settings, pytestconfig: pytest.Config) -> Iterator[SignInWorld]:
    """A console and a provider that know each other's URLs."""
    assert pytestconfig.cache is not None
    directory = installed(pytestconfig.cache.mkdir("oidc-provider"), "oidc-provider", VERSION)
    script = shutil.copy(SCRIPT, directory)
    provider, secret = f"http://127.0.0.1:{(port := free_port())}", secrets.token_urlsafe(24)
    access = ConsoleSettings(
        oidc_issuer=provider,
        oidc_client_id="console",
        oidc_client_secret=SecretStr(secret),
        oidc_read_only=("gatepost-rita", "staff"),
        oidc_operator=("gatepost-otto",),
        oidc_admin=("gatepost-ada",),
    )
    with WebServer(create_app(settings, "http://127.0.0.1:1", SecretStr("key"), access=access)) as console:
        command = ["node", str(script), str(port), f"{console.url}/sign-in/callback", secret]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
            assert node.stdout is not None
            assert node.stdout.readline().strip() == "ready"
            yield SignInWorld(console.url, provider)
            node.kill()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser without cookies."""
    context = browser.new_context()
    context.set_default_timeout(20_000)
    # The provider's page wants fonts of another site.
    context.route(lambda url: "//127.0.0.1:" not in url, lambda route: route.abort())
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(("name", "level"), [("ada", "admin"), ("otto", "operator"), ("rita", "read-only")])
def test_a_role_at_the_provider_gives_the_level(world: SignInWorld, page: Page, name: str, level: str) -> None:
    """The code flow with PKCE and a nonce ends on the page that was asked for."""
    begun: list[str] = []
    page.on("request", lambda request: begun.append(request.url) if "/auth?" in request.url else None)
    world.sign_in(page, name, "/audit?who=ana")
    query = parse_qs(urlsplit(begun[0]).query)

    assert page.url == f"{world.console}/audit?who=ana"
    assert f"{name}@example.com, {level}" in page.inner_text("header")
    assert query["code_challenge_method"] == ["S256"]
    assert query["response_type"] == ["code"]
    assert all(len(query[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))


def test_an_account_without_a_role_is_refused_with_a_clear_page(world: SignInWorld, page: Page) -> None:
    """It has an account at the provider, but no access here, and no session."""
    world.sign_in(page, "nemo")

    assert "Your account has no access level in this console" in page.inner_text("main")
    assert page.goto(f"{world.console}/campaigns").url.startswith(f"{world.console}/sign-in?")  # type: ignore[union-attr]


def test_signing_out_ends_the_session(world: SignInWorld, page: Page) -> None:
    """The next page asks to sign in again."""
    world.sign_in(page, "ada")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{world.console}/campaigns")

    assert page.url.startswith(f"{world.console}/sign-in?")


def test_an_answer_counts_once_and_only_in_the_browser_that_asked(world: SignInWorld, page: Page) -> None:
    """A link to another person's sign-in signs no one in, and a repeated answer does not either."""
    answers: list[str] = []
    page.on("request", lambda request: answers.append(request.url) if "/sign-in/callback?" in request.url else None)
    world.sign_in(page, "ada")
    page.get_by_role("button", name="Sign out").click()
    repeated = page.goto(answers[0])
    begun = httpx.get(f"{world.console}/sign-in/provider", follow_redirects=False)
    state = re.search(r"state=([^&]+)", begun.headers["location"])
    assert state
    other = httpx.get(
        f"{world.console}/sign-in/callback", params={"code": "x", "state": state[1], "iss": world.provider}
    )

    assert repeated is not None
    assert (repeated.status, other.status_code) == (403, 403)
    assert "begun in another browser" in other.text
