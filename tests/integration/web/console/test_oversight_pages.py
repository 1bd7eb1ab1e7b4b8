"""The console's pages for operations, dead letters, workers, quota, suppression and the audit log."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr

from gatepost_core.audit_log import AuditLog, acting_as
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.kinds import Lane
from gatepost_core.ledger import ledger_at
from gatepost_core.reasons import Reason
from gatepost_core.redis.connections import connect
from gatepost_core.states import State
from gatepost_operations.web.console.app import create_app
from gatepost_operations.web.console.security.operators import Level, Operator
from gatepost_worker.authentication.rate_limits import RateLimits
from gatepost_worker.limiter import LimiterKey, Reading, RedisLimiter
from support.console_server import TOKEN, WebServer
from support.keys import KEYS
from support.limiter_desk import Desk
from support.recorded_api import RecordedApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    import redis

    from gatepost import Producer
    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings

PERSON = "ana@example.com"


@contextmanager
def served(settings: Settings, level: Level, api: RecordedApi | None = None) -> Iterator[httpx.Client]:
    """Serve the console to an operator with a level, with an API that records."""
    with WebServer((api or RecordedApi()).app()) as back:  # type: ignore[arg-type] # any ASGI app
        app = create_app(settings, back.url, SecretStr("key"), identify=lambda _: (Operator("ada", level), TOKEN))
        with WebServer(app) as front:
            yield front.browser


@pytest.fixture
def admin(settings: Settings) -> Iterator[httpx.Client]:
    """A browser of an admin."""
    with served(settings, Level.ADMIN) as browser:
        yield browser


def add_letter(settings: Settings, client: redis.Redis, reason: str) -> str:
    """Add a dead letter about a person."""
    return DeadLetters(client, KEYS, settings.keyring()).add({"raw": PERSON}, reason=reason, queue="gatepost.send")


def test_an_operation_is_found_by_its_id(admin: httpx.Client, producer: Producer) -> None:
    """The page shows its state, and no person."""
    operation_id = producer.send_email(PERSON).operation_id
    producer.handle(operation_id).cancel()
    found = admin.get("/operations", params={"id": f" {operation_id.upper()} "})
    page = admin.get(found.headers["location"]).text

    assert found.headers["location"] == f"/operations/{operation_id}"
    assert "cancelled" in page
    assert operation_id in page
    assert PERSON not in page


def test_operations_are_counted_by_kind_and_state(admin: httpx.Client, producer: Producer) -> None:
    """The overview reads counters only."""
    for _ in range(3):
        producer.send_email(PERSON)
    page = admin.get("/operations").text

    assert re.search(r'<th scope="row">queued</th><td class="n">3</td>', page)


def test_a_login_s_tokens_are_not_offered(admin: httpx.Client, producer: Producer) -> None:
    """No page redeems, and a reference is refused because it is a secret; it is not repeated."""
    handle = producer.login_with_email(PERSON, "123456")
    page = admin.get(f"/operations/{handle.operation_id}").text
    refused = admin.get("/operations", params={"id": handle.reference})

    assert "Only the application that asked for a login can redeem" in page
    assert re.findall(r'action="([^"]*)"', page) == ["/sign-out"]
    assert "is a secret" in refused.text
    assert handle.reference not in refused.text


@pytest.mark.parametrize("given", ["nonsense", "0f8fad5b-d9cb-469f-a165-70867728950e", "../campaigns"])
def test_an_unknown_operation_is_a_sentence(admin: httpx.Client, given: str) -> None:
    """Whether the id is malformed or its record has expired."""
    answer = admin.get("/operations", params={"id": given}, follow_redirects=True)

    assert answer.status_code == 404
    assert "operation" in answer.text


def test_an_operation_that_failed_has_its_advice(admin: httpx.Client, settings: Settings, producer: Producer) -> None:
    """The page says in words what to do."""
    operation_id = producer.send_email(PERSON).operation_id
    with connect(settings) as client:
        ledger_at(client, settings).close(operation_id, State.REJECTED, Reason.CLIENT_REJECTED)
    page = unescape(admin.get(f"/operations/{operation_id}").text)

    assert "client rejected." in page
    assert Reason.CLIENT_REJECTED.advice in page


def test_dead_letters_are_listed_without_their_contents(
    admin: httpx.Client, settings: Settings, redis_client: redis.Redis
) -> None:
    """Newest first, by reason, in pages; neither the list nor a letter's page shows the message."""
    ids = []
    for number in range(51):
        ids.append(add_letter(settings, redis_client, f"reason {number}"))
        time.sleep(0.002)  # letters of one millisecond have no order
    page = admin.get("/dead-letters").text
    following = re.search(r'href="(/dead-letters\?[^"]*before=[^"]*)"', page)
    assert following
    older = admin.get(unescape(following[1])).text
    one = admin.get("/dead-letters", params={"reason": "REASON 7"}).text
    letter = admin.get(f"/dead-letters/{ids[7]}").text

    assert page.index("reason 50") < page.index("reason 49")
    assert "51 in all" in page
    assert "reason 0<" in older
    assert one.count("<tr>") == 2
    assert "reason 7" in letter
    assert PERSON not in f"{page}{older}{letter}"


def test_dead_letters_of_a_time_range_are_listed_and_acted_on(settings: Settings, redis_client: redis.Redis) -> None:
    """The range goes along to the next page and to the question before an action. A text that is no time is explained."""
    letter_id, api = add_letter(settings, redis_client, "not JSON"), RecordedApi()
    now = datetime.now().astimezone()
    before, after = (f"{now + timedelta(minutes=minutes):%Y-%m-%dT%H:%M}" for minutes in (-5, 5))
    api.answers["/v1/dead-letters/replay"] = (200, {"replayed": 1, "flaws": {}})
    with served(settings, Level.ADMIN, api) as browser:
        here = browser.get("/dead-letters", params={"since": before, "until": after}).text
        gone = [browser.get("/dead-letters", params=query).text for query in ({"since": after}, {"until": before})]
        asked = browser.get("/dead-letters/replay", params={"since": before}).text
        some = browser.post("/dead-letters/replay", data={"since": before, "until": after, "confirmed": "1"}).text
        unconfirmed = browser.post("/dead-letters/replay", data={"since": before, "until": after})
        wrong = [
            browser.get("/dead-letters", params={"since": text})
            for text in ("soon", "0001-01-01T00:00+14:00", "9" * 41)
        ]

    assert letter_id in here
    assert f'href="/dead-letters/drop?{urlencode({"since": before, "until": after})}"' in unescape(here)
    assert not [page for page in gone if letter_id in page]
    assert f'name="since" value="{before}"' in asked
    assert "1 message was put back" in some
    assert unconfirmed.status_code == 422
    assert [request[1] for request in api.requests] == ["/v1/dead-letters/replay"]
    assert [one.status_code for one in wrong] == [422] * 3
    assert "must be a date and a time" in wrong[0].text


def test_the_api_puts_back_and_drops_in_the_operators_name(settings: Settings, redis_client: redis.Redis) -> None:
    """The console has no key, so the API acts, and its audit log names the operator who is signed in."""
    letter_id, api = add_letter(settings, redis_client, "not JSON"), RecordedApi()
    path = f"/v1/dead-letters/{letter_id}"
    api.answers[f"{path}/replay"] = (200, {"replayed": 1})
    with served(settings, Level.ADMIN, api) as browser:
        asked = browser.get(f"/dead-letters/{letter_id}/drop").text
        answers = [browser.post(f"/dead-letters/{letter_id}/{action}") for action in ("replay", "drop")]

    assert [request[:3] for request in api.requests] == [
        ("POST", f"{path}/replay", "ada"),
        ("POST", f"{path}/drop", "ada"),
    ]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert "Drop this dead letter?" in asked


def test_a_message_that_workers_still_refuse_is_explained(settings: Settings, redis_client: redis.Redis) -> None:
    """The page names the flaw, and the letter stays."""
    letter_id, api = add_letter(settings, redis_client, "not JSON"), RecordedApi()
    refused = {"replayed": 0, "refused": 1, "interrupted": 0, "flaws": {"the body is not JSON": 1}}
    api.answers[f"/v1/dead-letters/{letter_id}/replay"] = (200, refused)
    with served(settings, Level.OPERATOR, api) as browser:
        answer = browser.post(f"/dead-letters/{letter_id}/replay")

    assert answer.status_code == 409
    assert "Workers still cannot accept it: the body is not JSON" in answer.text


@pytest.mark.parametrize(
    ("level", "offered"),
    [
        (Level.READ_ONLY, set()),
        (Level.OPERATOR, {"replay"}),
        (Level.ADMIN, {"replay", "drop"}),
    ],
)
def test_pages_offer_only_what_the_level_allows(
    settings: Settings, redis_client: redis.Redis, level: Level, offered: set[str]
) -> None:
    """An operator sees no button that is refused."""
    letter_id = add_letter(settings, redis_client, "not JSON")
    with served(settings, level) as browser:
        page = browser.get(f"/dead-letters/{letter_id}").text

    assert set(re.findall(rf"/dead-letters/{letter_id}/([a-z]+)", page)) == offered


def test_queues_and_upkeep_are_read_from_redis(
    admin: httpx.Client, producer: Producer, redis_client: redis.Redis
) -> None:
    """Messages that wait, messages that workers hold, open operations, and the reconciler's last run."""
    producer.send_email(PERSON)
    redis_client.hset("unacked", "tag", "message")
    before = admin.get("/workers").text
    redis_client.set("gatepost:reconciler:last", 1_800_000_000_000)
    after = admin.get("/workers").text

    assert re.search(r'<code>gatepost\.send</code></th><td class="n">1</td>', before)
    assert "1 message with workers" in before
    assert "1 operation<" in before
    assert "has never run" in before
    assert "last ran 2027-01-15" in after


def test_workers_are_asked_after_the_page_is_shown(admin: httpx.Client) -> None:
    """Without a worker the answer gives the command that starts one; with htmx it is a part of the page."""
    page, part = (admin.get("/workers/answers", headers=headers).text for headers in ({}, {"HX-Request": "true"}))

    assert "gatepost worker" in page
    assert "<html" in page
    assert "<html" not in part


def test_the_quota_of_each_tenant_is_shown(admin: httpx.Client, redis_client: redis.Redis) -> None:
    """Known and unknown ones; the console needs no credential of the tenant."""
    redis_client.hset("gatepost:tenants", mapping={"default": "a@b", "acme": "c@d"})
    desk = Desk(redis_client)
    limiter_key = LimiterKey("acme", "passwordless/start")
    ticket = desk.limiter.acquire(limiter_key, Lane.INTERACTIVE).first_ticket  # type: ignore[union-attr]
    desk.now += 0.1
    desk.limiter.observe(limiter_key, [desk.reading(ticket, limit=50, remaining=37)])
    page = admin.get("/quota").text

    assert re.search(
        r'<th scope="row">acme</th><td>passwordless/start</td>\s*<td class="n">3[67]</td><td class="n">50</td>', page
    )
    assert "default, oauth/token:" in page
    assert "not known yet" in page


def test_a_block_is_lifted_by_the_api(settings: Settings, redis_client: redis.Redis) -> None:
    """An operator has a button for each block, and a read-only one has none."""
    redis_client.hset("gatepost:tenants", mapping={"acme": "c@d"})
    limiter, key = RedisLimiter(redis_client, KEYS), LimiterKey("acme", "passwordless/start")
    ticket = limiter.acquire(key, Lane.INTERACTIVE).first_ticket  # type: ignore[union-attr]
    limits = RateLimits(limit=100, remaining=0, retry_after_s=600)
    limiter.observe(key, [Reading(ticket=ticket, limits=limits, refused=True)])
    api = RecordedApi()
    with served(settings, Level.OPERATOR, api) as browser:
        page = browser.get("/quota").text
        answer = browser.post("/quota/clear", data={"tenant": "acme", "endpoint": key.endpoint})
        after = browser.get(answer.headers["location"]).text
    with served(settings, Level.READ_ONLY) as browser:
        seen = browser.get("/quota").text
        refused = browser.post("/quota/clear", data={"tenant": "acme", "endpoint": key.endpoint})

    assert page.count("Lift the block") == 1
    assert "The block was lifted." in after
    assert api.requests == [("POST", "/v1/quota/clear", "ada", {"tenant": "acme", "endpoint": key.endpoint})]
    assert ("Blocked for" in seen, "Lift the block" in seen, refused.status_code) == (True, False, 403)


def test_a_person_on_the_suppression_list_is_looked_up_by_the_api(settings: Settings, campaigns: Campaigns) -> None:
    """The console has no key to look up an address, and no page repeats it."""
    campaigns.suppressions.add("otto@example.com")
    api = RecordedApi()
    api.answers["/v1/suppressions/find"] = (200, {"suppressed": True, "reason": "bounced", "expires_at": None})
    api.answers["/v1/suppressions"] = (
        200,
        {"new": True, "reason": "manual", "expires_at": "2027-01-01T00:00:00+00:00"},
    )
    with served(settings, Level.ADMIN, api) as browser:
        count = browser.get("/suppression").text
        form = {"recipient": PERSON, "reason": "bounced", "days": "30"}
        pages = [browser.post(f"/suppression/{action}", data=form).text for action in ("find", "add")]
        api.answers["/v1/suppressions"] = (200, {"removed": False})
        pages.append(browser.post("/suppression/remove", data=form).text)
    calls = [(method, path, who, body["recipient"]) for method, path, who, body in api.requests]

    assert "1 entry" in count
    assert calls == [
        ("POST", "/v1/suppressions/find", "ada", PERSON),
        ("POST", "/v1/suppressions", "ada", PERSON),
        ("DELETE", "/v1/suppressions", "ada", PERSON),
    ]
    assert "On the list: bounced, without end" in pages[0]
    assert "Added: manual, until 20" in pages[1]
    assert "nothing changed" in pages[2]
    assert not [page for page in pages if PERSON in page]


@pytest.mark.parametrize("days", ["0", "-1", "soon", "99999", "\u0663"])
def test_a_wrong_number_of_days_is_named(settings: Settings, days: str) -> None:
    """The API is not asked."""
    api = RecordedApi()
    with served(settings, Level.OPERATOR, api) as browser:
        answer = browser.post("/suppression/add", data={"recipient": PERSON, "days": days})

    assert answer.status_code == 422
    assert "must be a number from 1 to 3,650" in answer.text
    assert not api.requests


def test_the_audit_log_shows_operators_and_actions_and_no_person(
    admin: httpx.Client, campaigns: Campaigns, settings: Settings, redis_client: redis.Redis
) -> None:
    """Newest first, in pages, by action and by operator; the console needs no key."""
    campaign_id = campaigns.create("spring")
    log = AuditLog(redis_client, KEYS, settings.fingerprints(), who="otto")
    for number in range(150):
        log.record("campaign.pause", campaign=campaign_id, number=number)
    with acting_as("ada"):
        campaigns.suppressions.add(PERSON)
    page = admin.get("/audit").text
    older = re.search(r'href="(/audit\?[^"]*before=[^"]*)"', page)
    assert older
    by_action = admin.get("/audit", params={"action": "suppression."}).text
    by_who = admin.get("/audit", params={"who": "OTTO"}).text

    assert page.index("suppression.add") < page.index("number 149") < page.index("number 148")
    assert "campaign spring" in page
    assert "campaign.create" in admin.get(unescape(older[1])).text
    assert "campaign.pause" not in by_action
    assert "ada" in by_action
    assert "suppression.add" not in by_who
    assert "number 0<" in by_who
    assert PERSON not in page


def test_a_damaged_audit_entry_is_told(admin: httpx.Client, redis_client: redis.Redis) -> None:
    """The page names the command that finds it."""
    redis_client.rpush(KEYS.audit, "not an entry")

    assert "gatepost audit verify" in admin.get("/audit").text


@pytest.mark.parametrize("path", ["/operations", "/dead-letters", "/workers", "/quota", "/suppression", "/audit"])
def test_an_empty_installation_has_plain_pages(admin: httpx.Client, path: str) -> None:
    """A newcomer sees sentences, and a title."""
    answer = admin.get(path)

    assert answer.status_code == 200
    assert "<h1>" in answer.text
