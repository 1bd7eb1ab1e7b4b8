"""No answer, log line, stored value or error tracker shows a value of a request, whatever is wrong with it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from support.error_tracker import tracking
from support.planted_secrets import Recording, found
from support.web_api import CONSOLE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import redis

    from gatepost_operations.local.embedded_valkey import EmbeddedValkey
    from support.web_api import Api

NAME = "canary-q7x2v9"
PERSON = f"{NAME}@example.com"
PHONE = "+447700900847"
CODE = "9143770451"
TOKEN = "cAnArYt0kEn" + "x" * 32
SECRETS = [NAME, PHONE, CODE, TOKEN, "cAnArY"]
JSON = {"content-type": "application/json"}
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
PATHS = [
    ("POST", "/v1/messages"), ("POST", "/v1/logins"), ("POST", f"/v1/operations/{ID}/redeem"), ("POST", "/v1/campaigns"),
    ("POST", "/v1/suppressions"), ("POST", "/v1/suppressions/find"), ("DELETE", "/v1/suppressions"),
]  # fmt: skip
BODIES: list[Any] = [
    {"email": f"{NAME} at example.com", "code": CODE},
    {"email": PERSON, PERSON: CODE, "extra": {NAME: PHONE}},
    {"phone_number": f"{PHONE}{CODE}", "code": CODE},
    {"email": PERSON, "code": f"{CODE}{TOKEN}" * 20, "redeem_token": TOKEN + "!"},
    {"kind": NAME, "email": PERSON, "deadline": f"{NAME}", "client_ip": PHONE, "language": NAME},
    {"email": PERSON, "tenant": NAME, "headers": {NAME: TOKEN}, "auth_params": [NAME]},
    {"redeem_token": TOKEN, "email": PERSON},
    {"name": NAME + "\u202e", "rate": NAME, "hours": PERSON, "guest_list": [f"{NAME} at example"], NAME: 1},
    {"recipient": f"{NAME} at {CODE}", "expires_at": NAME, "reason": NAME},
    [{"email": f"{NAME}@"}, NAME, {"idempotency_key": [NAME]}],
    NAME,
    [[PHONE]],
]  # fmt: skip


def wrong_requests(campaign: str) -> Iterator[dict[str, Any]]:
    """Requests with planted values, each wrong in another way."""
    for method, path in PATHS:
        for body in BODIES:
            yield {"method": method, "url": path, "json": body}
        yield {"method": method, "url": path, "content": f'{{"email": "{PERSON}"', "headers": JSON}
        yield {"method": method, "url": path, "content": PERSON, "headers": {"content-type": NAME}}
    yield {"method": "POST", "url": "/v1/messages", "json": {}, "headers": {"Idempotency-Key": f'"{NAME}'}}
    yield {"method": "GET", "url": f"/v1/operations/{NAME}", "headers": {"Prefer": f"wait={NAME}"}}
    for query in (
        "limit",
        "cursor",
        "state",
        "reason",
        "reveal",
        "region",
        "column",
        "numbers",
        "delimiter",
        "encoding",
    ):
        yield {"method": "GET", "url": f"{campaign}/recipients", "params": {query: NAME}}
        yield {"method": "GET", "url": "/v1/campaigns", "params": {query: NAME * 10}}
        yield {
            "method": "POST",
            "url": "/v1/recipient-files/check",
            "params": {query: NAME},
            "content": f"email\n{PERSON}\n",
        }
    for part in (
        f"{PERSON} {CODE},{PHONE}\n{PERSON},{PHONE}\n",
        f"email\n{NAME} at example\n",
        f"email,name\n{PERSON},{PHONE},{CODE}\n",
        f'{{"email": "{NAME}"}}\n',
    ):
        yield {
            "method": "POST",
            "url": f"{campaign}/recipients",
            "content": part,
            "headers": {"content-type": "text/csv"},
        }
    yield {"method": "POST", "url": f"{campaign}/test", "json": {"to": [f"{NAME} at example"]}}
    yield {"method": "POST", "url": f"{campaign}/change", "json": {"rate": NAME, "deadline": PERSON, NAME: 1}}
    yield {"method": "POST", "url": f"{campaign}/retry", "json": {"states": [NAME], "reasons": [PERSON]}}
    yield {"method": "GET", "url": f"/v1/{NAME}"}
    yield {"method": "PUT", "url": "/v1/messages", "json": {"email": PERSON}}
    yield {"method": "GET", "url": "/v1/quota", "params": {"tenant": NAME}}
    yield {"method": "GET", "url": "/v1/quota", "headers": {"Authorization": f"Bearer {TOKEN}"}}
    yield {
        "method": "POST",
        "url": "/v1/messages",
        "json": {"email": PERSON},
        "headers": {"Gatepost-Actor": NAME + "\x01"},
    }


def outputs(answer: httpx.Response) -> str:
    """Everything of an answer that a client or a proxy may log."""
    return f"{answer.status_code} {answer.headers} {answer.text}"


@pytest.mark.usefixtures("configured")
def test_no_refusal_repeats_a_value(tmp_path: Path, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers with 4xx and the server's whole output are searched; Redis holds the accepted values, sealed."""
    monkeypatch.setenv("GATEPOST_WEB_API_KEY", CONSOLE_KEY)
    command = [sys.executable, "-m", "gatepost_operations.cli", "web", "--role", "api", "--port", "0"]
    log = tmp_path / "api.log"
    with (
        log.open("wb") as output,
        Recording(valkey.port) as recording,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output, text=True, cwd=tmp_path) as process,
    ):
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {CONSOLE_KEY}"}, timeout=120) as client:
            campaign = client.post("/v1/campaigns", json={"name": "spring"}).headers["location"]
            answers = [client.request(**one) for one in wrong_requests(campaign)]
            accepted = client.post("/v1/logins", json={"email": PERSON, "code": CODE})
        process.terminate()
        rest = process.stdout.read()
    statuses = {answer.status_code for answer in answers}

    assert accepted.status_code == 202
    assert {400, 401, 404, 405, 415, 422} <= statuses
    assert max(statuses) < 500, [answer.request.url for answer in answers if answer.status_code >= 500]
    shown = {f"{a.request.method} {a.request.url.path}": outputs(a) for a in answers if found(SECRETS, outputs(a))}
    assert not shown, shown
    assert found(SECRETS, log.read_text(encoding="utf-8") + rest) == []
    assert found(SECRETS, recording.text()) == []


def test_an_error_tracker_sees_no_request(api: Api, redis_client: redis.Redis) -> None:
    """A fault in Gatepost answers 500 without a text, and sentry-sdk's defaults collect neither body, nor key, nor locals."""
    key = api.key(scopes=["campaigns"])
    client = api.client_with(key)
    campaign = client.post("/v1/campaigns", json={"name": "spring"}).headers["location"].rpartition("/")[2]
    redis_client.hset(f"gatepost:campaign:{campaign}", "status", "no status")
    redis_client.set("gatepost:suppression", "not a hash")
    with tracking() as events:
        faulty = client.post(f"/v1/campaigns/{campaign}/test", json={"to": [PERSON], "language": NAME})
        broken = api.client_with(CONSOLE_KEY).post("/v1/suppressions", json={"recipient": PERSON})
        (key_id,) = redis_client.hkeys("gatepost:api_keys")
        redis_client.hset("gatepost:api_keys", key_id, "not JSON")
        api.forget()
        damaged = client.post("/v1/messages", json={"email": PERSON})

    assert [faulty.status_code, broken.status_code, damaged.status_code] == [500, 503, 500]
    assert "detail" not in faulty.json()
    assert found([*SECRETS, key, key.split("_", 2)[2]], json.dumps(events)) == []
