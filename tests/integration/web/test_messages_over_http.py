"""Messages and logins over HTTP: one or many, once for each idempotency key, for the key that asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.states import State
from support.free_ports import free_port
from support.web_api import CONSOLE_KEY, running_api

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import redis

    from gatepost_core.settings import Settings
    from support.web_api import Api

ANA = {"email": "ana@example.com"}
MINUTE = "RateLimit-Policy"


def problem(answer: httpx.Response) -> str:
    """The name of an answer's problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rpartition(":")[2]


def test_a_message_is_accepted_with_its_location(api: Api) -> None:
    """The answer says where to ask for the state, and the rest of the key's quota."""
    client = api.client(per_hour=50)

    answer = client.post("/v1/messages", json=ANA)

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/operations/{answer.json()['operation_id']}"
    assert answer.headers["ratelimit-policy"] == '"hour";q=50;w=3600'
    assert answer.headers["ratelimit"].startswith('"hour";r=49;t=')
    assert client.get(answer.headers["location"]).json()["state"] == State.QUEUED


def test_an_idempotency_key_names_one_operation_quoted_or_bare(api: Api) -> None:
    """Clients of both habits get the first operation again, and the answer says so."""
    client = api.client()
    first = client.post("/v1/messages", json=ANA, headers={"Idempotency-Key": '"key \\"1\\""'})
    bare = client.post("/v1/messages", json=ANA, headers={"Idempotency-Key": "key-2"})
    again = client.post("/v1/messages", json=ANA, headers={"Idempotency-Key": '"key \\"1\\""'})
    quoted = client.post("/v1/messages", json=ANA, headers={"Idempotency-Key": '"key-2"'})

    assert again.json() == {**first.json(), "existing": True}
    assert quoted.json() == {**bare.json(), "existing": True}
    assert (again.headers["idempotency-replayed"], "idempotency-replayed" in first.headers) == ("true", False)


def test_a_key_with_another_command_is_refused(api: Api) -> None:
    """A mistake of the client sends nothing."""
    client = api.client()
    client.post("/v1/messages", json=ANA, headers={"Idempotency-Key": "k"})
    other = client.post("/v1/messages", json={"email": "bo@example.com"}, headers={"Idempotency-Key": "k"})

    assert (other.status_code, problem(other)) == (422, "idempotency-key-reused")


@pytest.mark.parametrize("key", ["", '""', '"open', "two words", "k" * 257, '"a\\b"'])
def test_a_malformed_idempotency_key_is_refused(api: Api, key: str) -> None:
    """A key that is cut or empty must not name anything."""
    answer = api.client().post("/v1/messages", json=ANA, headers={"Idempotency-Key": key})

    assert (answer.status_code, problem(answer)) == (400, "malformed")


@pytest.mark.parametrize("key", ["k", "k" * 256])
def test_a_key_has_up_to_256_characters(api: Api, key: str) -> None:
    """Both ends of the range are accepted."""
    answer = api.client().post("/v1/messages", json=ANA, headers={"Idempotency-Key": key})

    assert answer.status_code == 202


@pytest.mark.parametrize(("path", "code"), [("/v1/messages", {}), ("/v1/logins", {"code": "123456"})])
def test_a_deadline_in_the_past_is_refused(api: Api, path: str, code: dict[str, str]) -> None:
    """For one item and for one of a list. The answer points to the field, and the other item is recorded."""
    client = api.client()
    late = {**ANA, **code, "deadline": "2020-01-01T00:00:00Z"}
    one = client.post(path, json=late)
    first, second = client.post(path, json=[late, {**late, "deadline": "2098-01-01T00:00:00Z"}]).json()["results"]

    assert (one.status_code, problem(one)) == (422, "invalid")
    assert one.json()["errors"] == [{"pointer": "/deadline", "detail": "is in the past; give a later time"}]
    assert first["problem"]["errors"][0]["pointer"] == "/0/deadline"
    assert second["status"] == 202


def test_a_key_whose_record_is_gone_sends_nothing(api: Api, redis_client: redis.Redis) -> None:
    """A late repetition must not become a second message."""
    client = api.client()
    sent = client.post("/v1/messages", json=ANA, headers={"Idempotency-Key": "k"}).json()
    redis_client.delete(f"gatepost:operation:{sent['operation_id']}")
    again = client.post("/v1/messages", json=ANA, headers={"Idempotency-Key": "k"})

    assert (again.status_code, problem(again)) == (409, "record-gone")


def test_another_key_cannot_see_or_repeat_an_operation(api: Api) -> None:
    """The same idempotency key of another API key is another operation, and the first one's id answers 404."""
    mine, theirs = api.client(), api.client(name="other", scopes=["redeem"])
    first = mine.post("/v1/messages", json=ANA, headers={"Idempotency-Key": "k"})
    second = theirs.post("/v1/messages", json=ANA, headers={"Idempotency-Key": "k"})
    hidden = theirs.get(first.headers["location"])
    missing = theirs.get("/v1/operations/0f8fad5b-d9cb-469f-a165-70867728950e")

    assert second.json()["existing"] is False
    assert (hidden.status_code, hidden.json()) == (missing.status_code, missing.json())
    assert problem(hidden) == "not-found"


def test_many_items_get_a_result_each(api: Api) -> None:
    """A wrong item does not stop the others, and an item that was sent before is `existing`."""
    client = api.client(kinds=["send_email"])
    first = client.post("/v1/messages", json=ANA, headers={"Idempotency-Key": "row-1"}).json()
    items: list[Any] = [
        {**ANA, "idempotency_key": "row-1"},
        {"email": "bo@example.com", "idempotency_key": "row-2"},
        {"email": "absent at example"},
        {"phone_number": "+447700900123"},
        "text",
        {**ANA, "kind": "login_with_email"},
        {**ANA, "idempotency_key": 7},
    ]
    results = client.post("/v1/messages", json=items).json()["results"]

    assert [one["status"] for one in results] == [202, 202, 422, 403, 422, 422, 422]
    assert results[0] == {"status": 202, "operation_id": first["operation_id"], "existing": True}
    assert results[1]["existing"] is False
    assert results[2]["problem"]["errors"][0]["pointer"] == "/2/email"
    assert results[6]["problem"]["errors"][0]["pointer"] == "/6/idempotency_key"


def test_a_repeated_batch_adds_what_changed_and_nothing_twice(api: Api) -> None:
    """The request's key gives each item one, so that a changed item fails alone."""
    client, people = api.client(), [{"email": f"p{number}@example.com"} for number in range(250)]
    headers = {"Idempotency-Key": "batch"}
    first = client.post("/v1/messages", json=people, headers=headers).json()["results"]
    people[7] = {"email": "changed@example.com"}
    again = client.post("/v1/messages", json=people, headers=headers).json()["results"]

    assert {one["existing"] for one in first} == {False}
    assert [one["operation_id"] for one in again if one["status"] == 202] == [
        one["operation_id"] for number, one in enumerate(first) if number != 7
    ]
    assert again[7]["problem"]["type"].endswith("idempotency-key-reused")


@pytest.mark.parametrize("number", [0, 1001])
def test_a_request_has_up_to_a_thousand_items(api: Api, number: int) -> None:
    """The limit is stated in the answer."""
    answer = api.client().post("/v1/messages", json=[ANA] * number)

    assert answer.status_code in {413, 422}
    assert "1,000" in answer.json()["detail"]


def test_a_body_over_the_limit_is_refused_before_it_is_read(api: Api) -> None:
    """A client that declares too much gets 413 at once."""
    answer = api.client().post(
        "/v1/messages", content=b"x" * ((4 << 20) + 1), headers={"content-type": "application/json"}
    )

    assert (answer.status_code, problem(answer)) == (413, "too-large")


def test_a_stream_without_a_length_has_the_same_limit(api: Api) -> None:
    """The limit counts the bytes, not the header."""
    parts = (b" " * (1 << 20) for _ in range(6))
    answer = api.client().post("/v1/messages", content=parts, headers={"content-type": "application/json"})

    assert (answer.status_code, problem(answer)) == (413, "too-large")


def test_a_login_gives_the_token_that_redeems_it(api: Api) -> None:
    """Before its end there is nothing to redeem, with another token nothing is redeemed, and the scope is needed."""
    client, poor = api.client(scopes=["redeem"]), api.client(name="poor")
    login = client.post("/v1/logins", json={**ANA, "code": "123456"}, headers={"Idempotency-Key": "k"}).json()
    again = client.post("/v1/logins", json={**ANA, "code": "123456"}, headers={"Idempotency-Key": "k"}).json()
    redeem = f"/v1/operations/{login['operation_id']}/redeem"
    early = client.post(redeem, json={"redeem_token": login["redeem_token"]})
    malformed = client.post(redeem, json={"redeem_token": "x"})
    refused = poor.post(redeem, json={"redeem_token": login["redeem_token"]})

    assert again["redeem_token"] == login["redeem_token"]
    assert (early.status_code, problem(early)) == (409, "not-finished")
    assert (malformed.status_code, problem(malformed)) == (403, "wrong-redeem-token")
    assert (refused.status_code, problem(refused)) == (403, "not-allowed")


def test_a_read_can_wait_for_the_end(api: Api) -> None:
    """`Prefer: wait` answers as soon as the operation has ended."""
    client = api.client()
    sent = client.post("/v1/messages", json=ANA).json()["operation_id"]
    early = client.get(f"/v1/operations/{sent}", headers={"Prefer": "respond-async, wait=1"})
    api.app.state.services.producer.handle(sent).cancel()
    ended = client.get(f"/v1/operations/{sent}", headers={"Prefer": "wait=60"})

    assert (early.json()["state"], early.headers["preference-applied"]) == (State.QUEUED, "wait=1")
    assert ended.json().get("state") == State.CANCELLED, ended.text


def test_a_key_is_kept_until_a_day_after_the_end(api: Api, redis_client: redis.Redis) -> None:
    """However long an operation waits, its idempotency key expires with its record, which a day after the end does."""
    sent = api.client().post("/v1/messages", json=ANA, headers={"Idempotency-Key": "k"}).json()["operation_id"]
    (name,) = redis_client.keys("gatepost:idempotency:*")
    while_open = redis_client.ttl(name)
    api.app.state.services.producer.handle(sent).cancel()

    assert while_open == -1
    assert 86_300 < redis_client.ttl(name) <= 86_400


def test_without_redis_the_answer_says_when_to_repeat(make_settings: Callable[..., Settings]) -> None:
    """A client repeats the request with the same idempotency key; a load balancer sees that the api cannot work."""
    away = f"redis://127.0.0.1:{free_port()}/0"
    with running_api(make_settings(redis_url=away, web_api_key=CONSOLE_KEY)) as api:
        client = api.client_with(CONSOLE_KEY)
        sent, health = client.post("/v1/messages", json=ANA), client.get("/v1/health")

    assert (sent.status_code, problem(sent), sent.headers["retry-after"]) == (503, "unavailable", "5")
    assert (health.status_code, health.json()) == (503, {"healthy": False})
