"""A signed-in operator acts: the console passes it on, the real API carries it out, and the audit log names the operator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import structlog.testing
from pydantic import SecretStr

from gatepost_core.dead_letters import DeadLetters
from gatepost_operations.web.api.app import create_app as create_api
from gatepost_operations.web.console.app import create_app
from gatepost_operations.web.console.security.operators import Level
from gatepost_operations.web.console.security.settings import ConsoleSettings
from support.console_accounts import SignedInConsole, console_with_accounts, write_accounts
from support.console_server import WebServer
from support.keys import KEYS
from support.planted_secrets import found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings

KEY = SecretStr("the console's key of the test, which is long enough")
NAME = "canary-q7x2v9"
PERSON = f"{NAME}@example.com"


@pytest.fixture
def both(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[SignedInConsole]:
    """The API and a console with accounts."""
    settings = make_settings(web_api_key=KEY)
    with WebServer(create_api(settings)) as api:
        access = ConsoleSettings(users=write_accounts(tmp_path / "users"))
        with WebServer(create_app(settings, api.url, KEY, access=access)) as server:
            console = SignedInConsole(server.url, tmp_path / "users")
            yield console
            console.close()


def acts(campaigns: Campaigns) -> list[tuple[str, str]]:
    """Return each entry's operator and action."""
    return [(entry.who, entry.action) for entry in campaigns.audit.entries()]


def counted(campaigns: Campaigns, action: str) -> list[tuple[str, int]]:
    """Return the operator and the number of letters of each entry that begins an action."""
    entries = [entry for entry in campaigns.audit.entries() if entry.action == action]
    return [(entry.who, entry.about["letters"]) for entry in entries if "letters" in entry.about]


def test_dead_letters_are_put_back_and_dropped(
    both: SignedInConsole, campaigns: Campaigns, settings: Settings, redis_client: redis.Redis
) -> None:
    """The message is on its queue again, or gone; one that workers would refuse stays."""
    letters = DeadLetters(redis_client, KEYS, settings.keyring())
    good, bad = (
        letters.add(message, reason="planted", queue="gatepost.send") for message in (message_of(), {"raw": PERSON})
    )
    operator, admin = both.signed_in(Level.OPERATOR), both.signed_in(Level.ADMIN)
    put_back = operator.post(f"/dead-letters/{good}/replay")
    kept = operator.post(f"/dead-letters/{bad}/replay")
    dropped = admin.post(f"/dead-letters/{bad}/drop")

    assert (put_back.status_code, kept.status_code, dropped.status_code) == (303, 409, 303)
    assert "Workers still cannot accept it" in kept.text
    assert redis_client.llen("gatepost.send") == 1
    assert len(letters) == 0
    assert ("otto", "dead_letters.replay") in acts(campaigns)
    assert ("ada", "dead_letters.drop") in acts(campaigns)


def test_a_sign_in_is_in_the_audit_log(both: SignedInConsole, campaigns: Campaigns) -> None:
    """With the operator's name, level and way. A failed one is not, because the name may be a password that was typed into the wrong field."""
    both.signed_in(Level.OPERATOR)
    both.try_password(both.browser(), f"{NAME} password", "wrong")
    entries = [(entry.who, entry.action, entry.about) for entry in campaigns.audit.entries()]

    assert entries == [("otto", "console.sign_in", {"level": "operator", "way": "password"})]


def test_an_operator_can_sign_in_while_the_api_is_away(settings: Settings, tmp_path: Path) -> None:
    """In an outage the pages are needed most. A log event takes the place of the audit entry."""
    with console_with_accounts(settings, tmp_path) as console, structlog.testing.capture_logs() as logs:
        page = console.signed_in(Level.ADMIN).get("/campaigns")

    assert page.status_code == 200
    missed = [one for one in logs if one["event"] == "console.sign_in_not_recorded"]
    assert [(one["operator"], one["error"]) for one in missed] == [("password:ada", "ApiUnavailable")]


def test_all_dead_letters_with_a_reason_are_put_back_or_dropped(
    both: SignedInConsole, campaigns: Campaigns, settings: Settings, redis_client: redis.Redis
) -> None:
    """Others stay, and so does one that may be on its queue already: it is put back only by itself."""
    letters = DeadLetters(redis_client, KEYS, settings.keyring())
    for message in (message_of(), message_of(), {"raw": PERSON}):
        letters.add(message, reason="no such task", queue="gatepost.send")
    letters.mark(letters.add(message_of(), reason="no such task", queue="gatepost.send"), again=False)
    letters.add(message_of(), reason="another", queue="gatepost.send")
    operator, admin = both.signed_in(Level.OPERATOR), both.signed_in(Level.ADMIN)
    asked = operator.get("/dead-letters/replay?reason=TASK").text
    put_back = operator.post("/dead-letters/replay", data={"reason": "TASK", "confirmed": "3"}).text
    on_queue = redis_client.llen("gatepost.send")
    refused = operator.post("/dead-letters/drop", data={"reason": "TASK", "confirmed": "2"})
    changed = admin.post("/dead-letters/drop", data={"reason": "TASK", "confirmed": "3"})
    dropped = admin.post("/dead-letters/drop", data={"reason": "TASK", "confirmed": "2"}).text

    assert "Put back 3 dead letters" in asked
    assert "2 messages were put back" in put_back
    assert "1 refused" in put_back
    assert on_queue == 2
    assert refused.status_code == 403
    assert changed.status_code == 409
    assert "The number has changed" in changed.text
    assert "Drop 2 dead letters" in changed.text
    assert "2 messages were dropped" in dropped
    assert [letter.reason for letter in letters.list()] == ["another"]
    assert counted(campaigns, "dead_letters.replay") == [("otto", 3)]
    assert counted(campaigns, "dead_letters.drop") == [("ada", 2)]


def test_the_suppression_list_is_changed(both: SignedInConsole, campaigns: Campaigns) -> None:
    """An address that cannot be read is explained."""
    admin = both.signed_in(Level.ADMIN)
    form = {"recipient": PERSON, "reason": "bounced", "days": "30"}
    added = admin.post("/suppression/add", data=form).text
    entry = campaigns.suppressions.find(PERSON)
    looked_up = admin.post("/suppression/find", data=form).text
    removed = admin.post("/suppression/remove", data=form).text
    wrong = admin.post("/suppression/add", data={"recipient": "nonsense"})

    assert entry is not None
    assert entry.reason == "bounced"
    assert "Added: bounced, until" in added
    assert "On the list: bounced" in looked_up
    assert "Removed." in removed
    assert campaigns.suppressions.find(PERSON) is None
    assert wrong.status_code == 422
    assert {("ada", "suppression.add"), ("ada", "suppression.remove")} <= set(acts(campaigns))


def test_no_page_and_no_log_of_the_console_has_a_planted_address(
    both: SignedInConsole, campaigns: Campaigns, settings: Settings, redis_client: redis.Redis
) -> None:
    """Every page is asked, after the address was used everywhere. Only what the operator typed went to the API."""
    letters = DeadLetters(redis_client, KEYS, settings.keyring())
    letter_id = letters.add({"raw": PERSON}, reason="planted", queue="gatepost.send")
    with structlog.testing.capture_logs() as logs:
        admin = both.signed_in(Level.ADMIN)
        pages = [admin.post(f"/suppression/{act}", data={"recipient": PERSON}).text for act in ("add", "find")]
        pages += [admin.post("/suppression/add", data={"recipient": f"{NAME} nonsense"}).text]
        paths = ("operations", "dead-letters", f"dead-letters/{letter_id}", "workers", "quota", "suppression", "audit")
        pages += [admin.get(f"/{path}").text for path in paths]
        refused = both.try_password(both.browser(), PERSON, f"password of {NAME}").text
    stored = [str(redis_client.hgetall(key)) for key in redis_client.scan_iter("gatepost:console:*")]

    assert found([NAME], "\n".join([*pages, refused, json.dumps(logs, default=str), *stored])) == []


def message_of() -> dict[str, object]:
    """Return a message that workers accept."""
    body = json.dumps([[], {"command": {"kind": "send_email", "email": PERSON}}, {}])
    headers = {"id": "0f8fad5b-d9cb-469f-a165-70867728950e", "task": "gatepost.submit", "lang": "py"}
    parts = {"headers": headers, "properties": {"body_encoding": "base64"}, "body": body}
    return {**parts, "content_type": "application/json", "content_encoding": "utf-8"}
