"""Signing in with a local account, and what ends a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.web.console.security.local_accounts import LocalAccounts
from gatepost_operations.web.console.security.operators import Level, Operator
from gatepost_operations.web.console.security.sessions import Sessions
from support.console_accounts import PASSWORD, SignedInConsole, console_with_accounts, token_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import redis

    from gatepost_core.settings import Settings


@pytest.fixture
def console(settings: Settings, tmp_path: Path) -> Iterator[SignedInConsole]:
    """A console with local accounts."""
    with console_with_accounts(settings, tmp_path) as served:
        yield served


def test_the_right_password_opens_the_page_that_was_asked_for(console: SignedInConsole) -> None:
    """The browser gets a cookie that scripts cannot read and other sites' forms do not send."""
    browser = console.browser()
    asked = browser.get("/campaigns?find=spring")
    answer = console.try_password(browser, "otto", next="/campaigns?find=spring")
    page = browser.get(answer.headers["location"])
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("gatepost-session-")]

    assert asked.headers["location"] == "/sign-in?next=%2Fcampaigns%3Ffind%3Dspring"
    assert (answer.status_code, page.status_code) == (303, 200)
    assert "otto, operator" in page.text
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


@pytest.mark.parametrize(("name", "password"), [("otto", "wrong"), ("nemo", PASSWORD), ("", "")])
def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(
    console: SignedInConsole, name: str, password: str
) -> None:
    """The page does not tell which names exist, and repeats neither field."""
    answer = console.try_password(console.browser(), name, password)

    assert answer.status_code == 403
    assert "The name or the password is wrong." in answer.text
    assert not any(one.startswith("gatepost-session-") for one in answer.headers.get_list("set-cookie"))
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)"]
)
def test_a_sign_in_leads_to_no_other_site(console: SignedInConsole, path: str) -> None:
    """A link to the sign-in page cannot send an operator elsewhere afterwards."""
    answer = console.try_password(console.browser(), "otto", next=path)

    assert answer.headers["location"] == "/campaigns"


def test_a_planted_session_id_is_not_taken_over(console: SignedInConsole) -> None:
    """A cookie that someone set in the browser before the sign-in names no session afterwards."""
    browser = console.browser()
    name = f"gatepost-session-{console.url.rpartition(':')[2]}"
    browser.cookies.set(name, "planted", domain="127.0.0.1")
    console.try_password(browser, "otto")
    thief = console.browser()
    thief.cookies.set(name, "planted")

    assert thief.get("/campaigns").status_code == 303


def test_signing_out_ends_the_session_on_the_server(console: SignedInConsole) -> None:
    """A copy of the cookie is worth nothing afterwards."""
    browser, copy = console.signed_in(Level.READ_ONLY), console.browser()
    copy.cookies.update(browser.cookies)
    before = copy.get("/campaigns").status_code
    left = browser.post("/sign-out")

    assert (before, left.status_code, left.headers["location"]) == (200, 303, "/sign-in")
    assert copy.get("/campaigns").status_code == 303


def test_a_removed_account_is_signed_out_at_once(console: SignedInConsole) -> None:
    """Its open session ends with the account."""
    browser = console.signed_in(Level.OPERATOR)
    LocalAccounts(console.accounts).remove("otto")

    assert browser.get("/campaigns").status_code == 303


def test_a_changed_level_and_a_changed_password_take_effect_at_once(console: SignedInConsole) -> None:
    """Sessions under the earlier password end, and pages show the new level after the next sign-in."""
    browser = console.signed_in(Level.OPERATOR)
    LocalAccounts(console.accounts).add("otto", Level.READ_ONLY, "another long password")
    other = console.browser()
    console.try_password(other, "otto", "another long password")

    assert browser.get("/campaigns").status_code == 303
    assert "otto, read-only" in other.get("/campaigns").text


def test_failed_tries_are_slowed_for_the_account_from_every_address(console: SignedInConsole) -> None:
    """After five tries the account waits, even for the right password; another account does not."""
    answers = [console.try_password(console.browser(), "otto", f"wrong {number}") for number in range(6)]
    right = console.try_password(console.browser(), "otto")
    other = console.try_password(console.browser(), "ada")

    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) > 0
    assert other.status_code == 303


def test_redis_holds_neither_the_session_id_nor_the_password(
    console: SignedInConsole, redis_client: redis.Redis
) -> None:
    """A copy of Redis signs no one in."""
    browser = console.signed_in(Level.ADMIN)
    secrets = {*browser.cookies.values(), PASSWORD, browser.headers["X-CSRF-Token"]}
    stored = [key.decode() for key in redis_client.scan_iter()]
    stored += [str(redis_client.hgetall(key)) for key in redis_client.keys("gatepost:console:*")]

    assert any(key.startswith("gatepost:console:session:") for key in stored)
    assert not [text for text in stored if any(secret in text for secret in secrets)]


def test_an_idle_session_and_an_old_session_end(redis_client: redis.Redis) -> None:
    """A page that refreshes itself does not keep a session open; no action does beyond the lifetime."""
    now = [1_000_000.0]
    sessions = Sessions(redis_client, RedisKeys(), idle_s=600, lifetime_s=3600, now=lambda: now[0])
    session_id = sessions.open(Operator("ada", Level.ADMIN, "oidc:1"))
    (key,) = redis_client.keys("gatepost:console:session:*")
    redis_client.expire(key, 100)
    refreshed = sessions.find(session_id, acted=False)
    after_refresh = redis_client.ttl(key)
    acted = sessions.find(session_id, acted=True)
    after_action = redis_client.ttl(key)
    now[0] += 3601

    assert refreshed == acted == Operator("ada", Level.ADMIN, "oidc:1")
    assert (after_refresh <= 100, after_action > 500) == (True, True)
    assert sessions.find(session_id, acted=True) is None
    assert not redis_client.exists(key)


def test_all_sessions_of_an_operator_can_be_ended(redis_client: redis.Redis) -> None:
    """Other operators stay signed in."""
    sessions = Sessions(redis_client, RedisKeys(), idle_s=600, lifetime_s=3600)
    mine = [sessions.open(Operator("ada", Level.ADMIN, "oidc:1")) for _ in range(2)]
    other = sessions.open(Operator("otto", Level.OPERATOR, "oidc:2"))

    assert sessions.end_all("ada") == 2
    assert [sessions.find(one, acted=False) for one in mine] == [None, None]
    assert sessions.find(other, acted=False) is not None


def test_a_sign_in_form_without_its_token_is_refused(console: SignedInConsole) -> None:
    """Another site cannot sign an operator in to an account of its choice."""
    browser = console.browser()
    token = token_in(browser.get("/sign-in").text)
    fields = {"name": "otto", "password": PASSWORD}
    without, other = (
        browser.post("/sign-in", data=fields),
        console.browser().post("/sign-in", data=fields | {"csrf_token": token}),
    )

    assert (without.status_code, other.status_code) == (403, 403)
    assert "did not come from a page of this console" in without.text
