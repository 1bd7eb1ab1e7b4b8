"""No answer, log line, stored value or error tracker shows a value of a request, whatever is wrong with it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from support.canary_values import CODE, NAME, PHONE, TOKEN
from support.error_tracker import tracking
from support.planted_secrets import Recording, found
from support.web_api import CONSOLE_KEY
from support.wrong_requests import PERSON, wrong_requests

if TYPE_CHECKING:
    from pathlib import Path

    import redis

    from gatepost_operations.local.embedded_valkey import EmbeddedValkey
    from support.web_api import Api

SECRETS = [NAME, PHONE, CODE, TOKEN, "cAnArY"]


def outputs(answer: httpx.Response) -> str:
    """Everything of an answer that a client or a proxy may log."""
    return f"{answer.status_code} {answer.headers} {answer.text}"


def test_every_refusal_of_a_json_body_names_its_fields(api: Api) -> None:
    """A client can tell its user which field is wrong, whichever check refused it."""
    client = api.client_with(CONSOLE_KEY)
    campaign = client.post("/v1/campaigns", json={"name": "spring"}).headers["location"]
    given = [*wrong_requests(campaign), {"method": "POST", "url": "/v1/messages", "json": []}]
    answers = [client.request(**one) for one in given if "json" in one]
    refused = [one for one in answers if one.status_code == 422 and one.json()["type"].endswith(":invalid")]

    assert len(refused) > 30
    assert [f"{one.request.method} {one.url.path}" for one in refused if not one.json().get("errors")] == []


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
