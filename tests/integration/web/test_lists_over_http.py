"""The suppression list, the audit log and the dead letters over HTTP."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.dead_letters import DeadLetters
from gatepost_core.kinds import Lane
from gatepost_worker.authentication.rate_limits import RateLimits
from gatepost_worker.limiter import LimiterKey, Permit, Reading, RedisLimiter
from support.keys import KEYS
from support.web_api import CONSOLE_KEY

if TYPE_CHECKING:
    import httpx
    import redis

    from support.web_api import Api

ANA = {"recipient": "ana@example.com"}


def test_the_suppression_list_is_kept(api: Api) -> None:
    """Addresses travel in bodies, never in URLs."""
    client = api.client(scopes=["suppressions"])
    added = client.post("/v1/suppressions", json={**ANA, "reason": "bounced"}).json()
    found = client.post("/v1/suppressions/find", json=ANA).json()
    count = client.get("/v1/suppressions").json()
    removed = [client.request("DELETE", "/v1/suppressions", json=ANA).json() for _ in range(2)]
    nonsense = {"json": {"recipient": "canary at example"}}
    wrong = [
        client.request(method, path, **nonsense)
        for method, path in (
            ("POST", "/v1/suppressions"),
            ("POST", "/v1/suppressions/find"),
            ("DELETE", "/v1/suppressions"),
        )
    ]

    assert added == {"new": True, "reason": "bounced", "expires_at": None}
    assert (found["suppressed"], found["reason"], count) == (True, "bounced", {"count": 1})
    assert removed == [{"removed": True}, {"removed": False}]
    assert [(one.status_code, one.json()["errors"][0]["pointer"]) for one in wrong] == [(422, "/recipient")] * 3
    assert "canary" not in "".join(one.text for one in wrong)


def test_the_audit_log_is_read_in_pages(api: Api) -> None:
    """The newest entry comes first."""
    console = api.client_with(CONSOLE_KEY)
    for _ in range(5):
        console.post("/v1/suppressions", json=ANA)
    first = console.get("/v1/audit", params={"limit": 3}).json()
    second = console.get("/v1/audit", params={"limit": 3, "before": first["next_before"]}).json()

    assert [one["number"] for one in first["entries"] + second["entries"]] == [4, 3, 2, 1, 0]
    assert (first["next_before"], second["next_before"]) == (2, None)


def test_dead_letters_are_listed_for_the_console(api: Api) -> None:
    """A letter that is not there cannot be replayed or dropped."""
    console = api.client_with(CONSOLE_KEY)

    assert console.get("/v1/dead-letters").json() == {"letters": []}
    assert [console.post(f"/v1/dead-letters/x/{verb}").status_code for verb in ("replay", "drop")] == [404, 404]


def test_dead_letters_are_listed_by_reason_and_time(api: Api, redis_client: redis.Redis) -> None:
    """As on the command line. A time without an offset is refused, because it has several meanings."""
    console = api.client_with(CONSOLE_KEY)
    letters = DeadLetters(redis_client, KEYS, api.app.state.services.settings.keyring())
    for reason in ("no such task", "not JSON", "no such queue"):
        letters.add({"raw": "{}"}, reason=reason, queue="gatepost.send")
        time.sleep(0.002)  # letters of one millisecond have no order
    last, middle, first = (one.at.isoformat() for one in letters.list())

    def found(**query: str) -> list[str]:
        return [one["reason"] for one in console.get("/v1/dead-letters", params=query).json()["letters"]]

    naive = console.get("/v1/dead-letters", params={"since": "2026-05-04T18:00"})

    assert found(since=middle) == ["no such queue", "not JSON"]
    assert found(until=middle) == ["not JSON", "no such task"]
    assert found(since=first, until=last, reason="SUCH") == ["no such queue", "no such task"]
    assert naive.json()["errors"] == [{"parameter": "since", "detail": "must have timezone info"}]


def replayable() -> dict[str, Any]:
    """Return a message that workers accept."""
    body = json.dumps([[], {"command": {"kind": "send_email", "email": ANA["recipient"]}}, {}])
    headers = {"id": str(uuid.uuid4()), "task": "gatepost.submit", "lang": "py"}
    parts = {"headers": headers, "properties": {"body_encoding": "base64"}, "body": body}
    return {**parts, "content_type": "application/json", "content_encoding": "utf-8"}


def test_dead_letters_that_match_are_replayed_and_dropped_by_their_number(api: Api, redis_client: redis.Redis) -> None:
    """A dry run counts them. With another number, or none, nothing is done."""
    console = api.client_with(CONSOLE_KEY, **{"Gatepost-Actor": "ada"})
    letters = DeadLetters(redis_client, KEYS, api.app.state.services.settings.keyring())
    for message in (replayable(), replayable(), {"raw": "not JSON"}):
        letters.add(message, reason="no such task", queue="gatepost.send")
    other = letters.add(replayable(), reason="another", queue="gatepost.send")
    interrupted = letters.add(replayable(), reason="no such task", queue="gatepost.send")
    letters.mark(interrupted, again=False)

    def ask(action: str, **body: Any) -> httpx.Response:
        return console.post(f"/v1/dead-letters/{action}", json=body)

    looked = ask("replay", reason="SUCH", dry_run=True).json()
    unconfirmed, changed = ask("replay", reason="SUCH"), ask("replay", reason="SUCH", confirmed=2)
    before = redis_client.llen("gatepost.send")
    replayed = ask("replay", reason="SUCH", confirmed=looked["letters"]).json()
    named = ask("replay", ids=[interrupted], confirmed=1).json()
    would = ask("drop", until="2098-01-01T00:00:00Z", dry_run=True).json()
    dropped = ask("drop", reason="no such", confirmed=1).json()
    entries = [one for one in console.get("/v1/audit").json()["entries"] if "letters" in one["about"]]

    assert looked == {"dry_run": True, "letters": 3, "replayed": 2, "refused": 1, "interrupted": 0, "gone": 0} | {
        "flaws": looked["flaws"]
    }
    assert (unconfirmed.status_code, unconfirmed.json()["errors"][0]["pointer"]) == (422, "/confirmed")
    assert (changed.status_code, changed.json()["letters"], before) == (409, 3, 0)
    assert replayed == looked | {"dry_run": False}
    assert (named["replayed"], redis_client.llen("gatepost.send")) == (1, 3)
    assert would == {"dry_run": True, "letters": 2, "dropped": 2, "reasons": {"another": 1, "no such task": 1}}
    assert (dropped["dropped"], [letter.id for letter in letters.list()]) == (1, [other])
    assert [(one["who"], one["action"], one["about"]["letters"]) for one in entries] == [
        ("ada", "dead_letters.drop", 1),
        ("ada", "dead_letters.replay", 1),
        ("ada", "dead_letters.replay", 3),
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"ids": []}, "/ids"),
        ({"since": "2026-05-04T18:00"}, "/since"),
        ({"confirmed": -1}, "/confirmed"),
        ({"reason": ""}, "/reason"),
        ({"state": "open"}, "/state"),
    ],
)
@pytest.mark.parametrize("action", ["replay", "drop"])
def test_a_wrong_choice_of_dead_letters_is_refused(
    api: Api, redis_client: redis.Redis, action: str, body: dict[str, Any], pointer: str
) -> None:
    """A filter with a mistake must not select other letters. A key without the scope selects none."""
    letters = DeadLetters(redis_client, KEYS, api.app.state.services.settings.keyring())
    letters.add(replayable(), reason="no such task", queue="gatepost.send")
    wrong = api.client_with(CONSOLE_KEY).post(f"/v1/dead-letters/{action}", json={"confirmed": 1} | body)
    poor = api.client(scopes=["read", "campaigns"]).post(f"/v1/dead-letters/{action}", json={"confirmed": 1})

    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, pointer)
    assert poor.status_code == 403
    assert len(letters) == 1


def test_a_block_is_lifted_by_the_console_alone(api: Api, redis_client: redis.Redis) -> None:
    """The audit log names the operator and the block. A tenant that is not configured is named by a pointer, and is not recorded."""
    key = LimiterKey("default", "passwordless/start")
    limiter = RedisLimiter(redis_client, KEYS)
    permit = limiter.acquire(key, Lane.INTERACTIVE)
    assert isinstance(permit, Permit)
    limits = RateLimits(limit=100, remaining=0, retry_after_s=600)
    limiter.observe(key, [Reading(ticket=permit.first_ticket, limits=limits, refused=True)])
    console = api.client_with(CONSOLE_KEY, **{"Gatepost-Actor": "ada"})
    refused = api.client(scopes=["read", "campaigns"]).post("/v1/quota/clear", json={})
    unknown = console.post("/v1/quota/clear", json={"tenant": "canary"})
    lifted = console.post("/v1/quota/clear", json={"tenant": "default", "endpoint": key.endpoint}).json()["cleared"]
    entries = console.get("/v1/audit").json()["entries"]

    assert [refused.status_code, unknown.status_code] == [403, 422]
    assert unknown.json()["errors"][0]["pointer"] == "/tenant"
    assert [(one["tenant"], one["endpoint"]) for one in lifted] == [("default", key.endpoint)]
    assert lifted[0]["blocked_for_s"] == pytest.approx(600, abs=60)
    assert isinstance(limiter.acquire(key, Lane.INTERACTIVE), Permit)
    acts = [(one["who"], one["action"]) for one in entries if one["action"].startswith("quota")]
    assert acts == [("ada", "quota.clear.done"), ("ada", "quota.clear")]
    assert "canary" not in str(entries)
