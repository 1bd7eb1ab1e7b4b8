"""Requests that another site makes a browser send, and requests for another host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
import structlog.testing
from fastapi import APIRouter
from pydantic import SecretStr

from gatepost_operations.web.console.app import create_app
from gatepost_operations.web.console.security.operators import Level, Operator, require
from gatepost_operations.web.console.security.settings import ConsoleSettings
from support.console_server import TOKEN, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.settings import Settings

HOST = "console.example"
ORIGIN = f"https://{HOST}"


@pytest.fixture
def browser(settings: Settings) -> Iterator[httpx.Client]:
    """A browser of a signed-in operator. It sends no headers by itself."""
    access = ConsoleSettings(url=ORIGIN)
    app = create_app(
        settings,
        "http://127.0.0.1:1",
        SecretStr("key"),
        access=access,
        identify=lambda _: (Operator("ada", Level.ADMIN), TOKEN),
    )
    with WebServer(app) as server, httpx.Client(base_url=server.url, headers={"Host": HOST}, timeout=30) as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://other.console.example"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, False),
        ({"Origin": ORIGIN}, True),
        ({"Origin": f"http://{HOST}"}, False),
        ({"Origin": f"{ORIGIN}:8443"}, False),
        ({"Origin": "https://console.example.evil.example"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
def test_a_change_must_come_from_a_page_of_the_console(
    browser: httpx.Client, headers: dict[str, str], *, is_own: bool
) -> None:
    """The browser's `Sec-Fetch-Site` decides, and `Origin` where it is missing. A right token alone is not enough."""
    answer = browser.post("/sign-out", headers={**headers, "X-CSRF-Token": TOKEN})

    assert answer.status_code == (303 if is_own else 403)


@pytest.mark.parametrize(
    ("headers", "form", "is_accepted"),
    [
        ({"X-CSRF-Token": TOKEN}, {}, True),
        ({}, {"csrf_token": TOKEN}, True),
        ({}, {}, False),
        ({"X-CSRF-Token": "wrong"}, {"csrf_token": TOKEN}, False),
        ({}, {"csrf_token": "wrong"}, False),
        ({}, {"csrf_token": ""}, False),
        ({}, {"csrf_token": TOKEN, "more": "x" * 70_000}, False),
    ],
)
def test_a_change_needs_the_token_in_a_header_or_a_small_form(
    browser: httpx.Client, headers: dict[str, str], form: dict[str, str], *, is_accepted: bool
) -> None:
    """A request that looks like one of the console's own is refused without the token."""
    answer = browser.post("/sign-out", headers={"Sec-Fetch-Site": "same-origin", **headers}, data=form)

    assert answer.status_code == (303 if is_accepted else 403)


def test_a_body_that_is_no_form_is_not_read_for_a_token(browser: httpx.Client) -> None:
    """An upload is refused before its first row is read."""
    answer = browser.post(
        "/sign-out",
        headers={"Sec-Fetch-Site": "same-origin"},
        files={"file": b"ana@example.com"},
        data={"csrf_token": TOKEN},
    )

    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:8791", f"{HOST}.evil.example", f"{HOST}:8080", ""])
def test_another_host_name_is_refused(browser: httpx.Client, host: str) -> None:
    """A name that an attacker points at this machine opens no page. A load balancer's question is answered."""
    page, health = (browser.get(path, headers={"Host": host}) for path in ("/campaigns", "/health"))

    assert (page.status_code, health.status_code) == (421, 200)
    assert f"Open {ORIGIN} instead" in page.text


@pytest.mark.parametrize("path", ["/campaigns", "/sign-in", "/nowhere", "/health"])
def test_every_answer_has_the_security_headers(browser: httpx.Client, path: str) -> None:
    """No inline script or style, no other site, no frame, no copy in a cache; also on errors and refusals."""
    for headers in ({}, {"Host": "evil.example"}):
        sent = browser.get(path, headers=headers).headers
        policy = dict(part.split(" ", 1) for part in sent["content-security-policy"].split("; "))

        assert policy["default-src"] == "'none'"
        assert set(policy.values()) <= {"'none'", "'self'"}
        assert policy["frame-ancestors"] == "'none'"
        assert sent["x-content-type-options"] == "nosniff"
        assert sent["referrer-policy"] == "same-origin"
        assert sent["cache-control"] == "no-store"
        assert "max-age" in sent["strict-transport-security"]


def test_over_https_the_cookie_belongs_to_the_host_alone(browser: httpx.Client) -> None:
    """No other host below the domain, and no http page, can set it."""
    (cookie,) = browser.post(
        "/sign-out", headers={"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": TOKEN}
    ).headers.get_list("set-cookie")

    assert cookie.startswith("__Host-gatepost-session=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


def test_an_unforeseen_error_is_a_page_with_the_headers(settings: Settings) -> None:
    """The page and the log name the kind of the error, and repeat none of its text."""
    router = APIRouter(dependencies=[require(Level.READ_ONLY)])

    @router.get("/broken")
    def broken() -> None:
        raise ValueError("ana@example.com")

    app = create_app(
        settings, "http://127.0.0.1:1", SecretStr("key"), identify=lambda _: (Operator("ada", Level.ADMIN), TOKEN)
    )
    app.include_router(router)
    with WebServer(app) as server, structlog.testing.capture_logs() as logs:
        answer = server.browser.get("/broken")
    (line,) = [one for one in logs if one["event"] == "console.request_failed"]

    assert answer.status_code == 500
    assert line["error"].startswith("ValueError")
    assert "ana@example.com" not in f"{answer.text}{logs}"
    assert answer.headers["content-security-policy"]


def test_a_malformed_request_is_a_page_that_repeats_no_value(browser: httpx.Client) -> None:
    """FastAPI's own answer would repeat a password."""
    secret = "correct horse " * 400
    headers = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": TOKEN}
    answers = [
        browser.post("/sign-in", data={"name": "ada", "password": secret}, headers=headers),
        browser.get(f"/operations?id={'x' * 300}"),
        browser.get("/dead-letters/correct-horse"),
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 404]
    assert all("<h1>" in answer.text for answer in answers)
    assert not [answer for answer in answers if "correct" in answer.text or "xxx" in answer.text]


def test_static_files_need_no_redis(make_settings: Callable[..., Settings]) -> None:
    """A page about a lost Redis has its style."""
    app = create_app(make_settings(redis_url="redis://127.0.0.1:1"), "http://127.0.0.1:1", SecretStr("key"))
    with WebServer(app) as server:
        server.browser.cookies.set(f"gatepost-session-{server.url.rpartition(':')[2]}", "any")
        style = server.browser.get("/static/console.css")

    assert style.status_code == 200


def test_a_trusted_proxy_names_the_browsers_address(settings: Settings) -> None:
    """Only a configured proxy is believed, so no one chooses the address under which failed tries are counted."""
    seen = []
    for proxies in (("127.0.0.0/8",), ("10.0.0.7",)):
        app = create_app(
            settings,
            "http://127.0.0.1:1",
            SecretStr("key"),
            access=ConsoleSettings(url=ORIGIN, proxies=proxies),
            identify=lambda request: seen.append(request.client.host) or (None, ""),  # type: ignore[func-returns-value,union-attr]
        )
        with WebServer(app) as server:
            server.browser.get("/sign-in", headers={"Host": HOST, "X-Forwarded-For": "203.0.113.9"})

    assert seen == ["203.0.113.9", "127.0.0.1"]
