"""Campaigns over HTTP: created once, filled in parts, controlled, read in pages."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from support.web_api import CONSOLE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    import redis

    from support.web_api import Api

CSV = {"content-type": "text/csv"}
NDJSON = {"content-type": "application/x-ndjson"}


def people(first: int, last: int) -> str:
    """A file of people."""
    return "email\n" + "".join(f"p{number}@example.com\n" for number in range(first, last))


def created(client: httpx.Client, **options: Any) -> str:
    """The path of a new campaign."""
    answer = client.post("/v1/campaigns", json={"name": "spring", **options})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


@pytest.fixture
def client(api: Api) -> httpx.Client:
    """A client that runs campaigns."""
    return api.client(scopes=["campaigns"])


def test_a_campaign_is_created_once_for_an_idempotency_key(client: httpx.Client) -> None:
    """The same request gives the same campaign, another one with the key is refused."""
    headers = {"Idempotency-Key": "k"}
    asked = {"name": "spring", "rate": 5, "start_at": "2031-01-01T09:00:00Z"}
    first = client.post("/v1/campaigns", json=asked, headers=headers)
    again = client.post("/v1/campaigns", json=asked, headers=headers)
    others = [
        client.post("/v1/campaigns", json={**asked, **other}, headers=headers) for other in ({"rate": 6}, {"name": "x"})
    ]

    assert (first.status_code, first.json()["status"], first.json()["finishes_at"]) == (201, "draft", None)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert [(one.status_code, one.json()["type"].rpartition(":")[2]) for one in others] == [
        (422, "idempotency-key-reused")
    ] * 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": "x", "rate": "ana@example.com"}, "/rate"),
        ({"name": "x", "guests": []}, "/guests"),
        ({"name": "x", "guest_list": [1]}, "/guest_list"),
        ({"name": "x", "guest_list": ["ok@example.com", "ana@ example.com"]}, "/guest_list/1"),
        ({"name": "x", "guest_list": ["ok@example.com"] * 1001}, "/guest_list"),
        ({"name": "x", "tenant": "missing"}, "/tenant"),
    ],
)
def test_a_wrong_option_is_named(client: httpx.Client, body: dict[str, Any], pointer: str) -> None:
    """The pointer leads to it, and its value is not repeated."""
    answer = client.post("/v1/campaigns", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert "ana@" not in answer.text


@pytest.mark.parametrize(
    ("action", "body", "pointer"),
    [
        ("change", {"rate": True}, "/rate"),
        ("change", {"rate": "3"}, "/rate"),
        ("retry", {"dry_run": 1}, "/dry_run"),
        ("retry", {"dry_run": "false"}, "/dry_run"),
    ],
)
def test_a_value_of_another_type_is_not_converted(
    client: httpx.Client, action: str, body: dict[str, Any], pointer: str
) -> None:
    """True is no rate, and 1 is no answer to whether to try it dry."""
    answer = client.post(f"{created(client)}/{action}", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_repeated_part_adds_what_is_missing(client: httpx.Client) -> None:
    """After an interruption the same part is sent again, and the answer says how many rows are in."""
    campaign = created(client)
    first = client.post(f"{campaign}/recipients", content=people(0, 300), headers=CSV).json()
    again = client.post(f"{campaign}/recipients", content=people(0, 500), headers=CSV).json()

    assert first == {"added": 300, "duplicates": 0, "invalid": 0, "total": 300, "problems": []}
    assert (again["added"], again["duplicates"], again["total"]) == (200, 300, 500)


def test_rows_are_taken_as_a_stream(client: httpx.Client) -> None:
    """A body without a length, as a program writes it."""
    campaign = created(client)

    def lines() -> Iterator[bytes]:
        for number in range(1000):
            yield json.dumps({"email": f"p{number}@example.com", "language": "de"}).encode() + b"\n"

    answer = client.post(f"{campaign}/recipients", content=lines(), headers=NDJSON)

    assert (answer.json()["added"], client.get(campaign).json()["total"]) == (1000, 1000)


def test_rows_before_an_interruption_stay(api: Api, client: httpx.Client) -> None:
    """The connection breaks in the middle; the next part continues."""
    campaign = created(client)

    def broken() -> Iterator[bytes]:
        yield people(0, 5000).encode()
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        client.post(f"{campaign}/recipients", content=broken(), headers=CSV)
    again = api.client_with(CONSOLE_KEY).post(f"{campaign}/recipients", content=people(0, 6000), headers=CSV).json()

    assert again["total"] == 6000
    assert again["added"] + again["duplicates"] == 6000


def test_an_invalid_row_stops_the_part_unless_it_is_skipped(client: httpx.Client) -> None:
    """The answer names the line and the field, and how many rows are in."""
    campaign, part = created(client), '{"email":"a@example.com"}\n{"email":"canary at example"}\n'
    stopped = client.post(f"{campaign}/recipients", content=part, headers=NDJSON)
    skipped = client.post(f"{campaign}/recipients?skip_invalid=true", content=part, headers=NDJSON)

    assert (stopped.status_code, stopped.json()["errors"][0]["pointer"]) == (422, "/2/email")
    assert "canary" not in stopped.text
    assert stopped.json()["total"] == 1
    assert (skipped.json()["duplicates"], skipped.json()["invalid"], skipped.json()["total"]) == (1, 1, 1)
    assert skipped.json()["problems"][0]["line"] == 2


def test_rows_that_a_key_does_not_allow_are_refused(api: Api) -> None:
    """Domains, kinds and the quota hold for campaigns too; the rows of a repeated part count once."""
    client = api.client(scopes=["campaigns"], domains=["example.com"], kinds=["send_email"], per_hour=600)
    campaign = created(client)
    foreign = client.post(f"{campaign}/recipients", content='{"email":"a@example.org"}\n', headers=NDJSON)
    some = [client.post(f"{campaign}/recipients", content=people(0, 500), headers=CSV).status_code for _ in range(2)]
    full = client.post(f"{campaign}/recipients", content=people(500, 1000), headers=CSV)

    assert (foreign.status_code, foreign.json()["total"]) == (422, 0)
    assert some == [200, 200]
    assert (full.status_code, full.json()["violated-policies"], full.json()["total"]) == (429, ["hour"], 600)


def test_campaigns_reach_a_person_within_the_limit(api: Api) -> None:
    """Many campaigns count together. A row that is written twice counts once, and the rows before a refusal are added."""
    client = api.client(scopes=["campaigns"], per_recipient=2)
    campaigns = [created(client) for _ in range(3)]
    part = "email\nana@example.com\nana@example.com\n"
    added = [client.post(f"{one}/recipients", content=part, headers=CSV).json() for one in campaigns[:2]]
    last = f"email\nbo@example.com\n{part.partition(chr(10))[2]}carl@example.com\n"
    refused = client.post(f"{campaigns[2]}/recipients", content=last, headers=CSV)
    skipped = client.post(f"{campaigns[2]}/recipients?skip_invalid=true", content=last, headers=CSV).json()

    assert [(one["added"], one["duplicates"]) for one in added] == [(1, 1), (1, 1)]
    assert (refused.status_code, refused.json()["violated-policies"]) == (429, ["recipient"])
    assert refused.json()["total"] == 1
    assert (skipped["added"], skipped["invalid"], skipped["total"]) == (1, 2, 2)


def test_a_retry_reaches_a_person_within_the_limit(api: Api) -> None:
    """It counts as a message would. At the limit nothing changes; a rehearsal counts nothing."""
    client = api.client(scopes=["campaigns"], per_recipient=2)
    campaign = created(client)
    client.post(f"{campaign}/recipients", content=people(0, 3), headers=CSV)
    client.post(f"{campaign}/start")
    retried = []
    for dry_run in (True, False, False):
        client.post(f"{campaign}/cancel")
        retried.append(client.post(f"{campaign}/retry", json={"states": ["cancelled"], "dry_run": dry_run}))

    assert [answer.status_code for answer in retried] == [200, 200, 429]
    assert retried[2].json()["violated-policies"] == ["recipient"]
    assert client.get(campaign).json()["counts"]["cancelled"] == 3


def test_slow_uploads_of_a_key_do_not_stop_those_of_others(api: Api, client: httpx.Client) -> None:
    """Each key has separate threads for uploads."""
    other, address = api.client(scopes=["campaigns"], name="other"), urlsplit(api.url)
    head = (
        f"POST /v1/recipient-files/check HTTP/1.1\r\nHost: x\r\nAuthorization: {client.headers['authorization']}\r\n"
        "Content-Type: text/csv\r\nContent-Length: 100\r\n\r\nemail\n"
    )
    with ExitStack() as opened:
        for _ in range(9):
            slow = opened.enter_context(socket.create_connection((address.hostname or "", address.port or 0)))
            slow.sendall(head.encode())
        answer = other.post("/v1/recipient-files/check", content=people(0, 2), headers=CSV)

    assert answer.status_code == 200


def test_a_file_is_checked_without_a_campaign(client: httpx.Client) -> None:
    """The report counts rows, kinds and errors, and names no person."""
    report = client.post("/v1/recipient-files/check", content=people(0, 20) + "canary at example\n", headers=CSV)
    unreadable = client.post("/v1/recipient-files/check", content=b"", headers=CSV)

    assert (report.json()["rows"], report.json()["valid"], report.json()["invalid"]) == (21, 20, 1)
    assert "canary" not in report.text
    assert unreadable.status_code == 422


@pytest.mark.parametrize("media", ["application/octet-stream", "application/vnd.ms-excel", "text/plain"])
def test_a_file_of_any_type_is_recognised_by_its_content(client: httpx.Client, media: str) -> None:
    """Browsers name many types for CSV; the copy that a workbook needs is closed at once."""
    campaign, headers = created(client), {"content-type": media}
    report = client.post("/v1/recipient-files/check", content=people(0, 20), headers=headers)
    added = client.post(f"{campaign}/recipients", content=people(0, 20), headers=headers)
    empty = client.post(f"{campaign}/recipients", content=b"", headers=headers)
    form = client.post(f"{campaign}/recipients", files={"file": people(0, 20)})

    assert (report.json()["valid"], added.json()["added"]) == (20, 20)
    assert (empty.status_code, form.status_code) == (422, 415)


def test_a_campaign_is_controlled(client: httpx.Client) -> None:
    """Start, pause, change, resume and cancel answer with the campaign, and a wrong moment is a conflict."""
    campaign = created(client)
    client.post(f"{campaign}/recipients", content=people(0, 10), headers=CSV)
    early = client.post(f"{campaign}/pause")
    states = [client.post(f"{campaign}/{verb}").json()["status"] for verb in ("start", "pause", "resume")]
    changed = client.post(f"{campaign}/change", json={"rate": 3, "deadline": None}).json()["options"]["rate"]
    cancelled = [client.post(f"{campaign}/cancel").json()["counts"]["cancelled"] for _ in range(2)]

    assert (early.status_code, early.json()["type"].rpartition(":")[2]) == (409, "conflict")
    assert "start it first" in early.json()["detail"]
    assert (states, changed, cancelled) == (["running", "paused", "running"], 3.0, [10, 10])


def test_a_past_time_is_refused(api: Api) -> None:
    """The start and deadline of a new campaign, a new deadline, and the end of an entry of the suppression list."""
    client, past = api.client(scopes=["campaigns", "suppressions"]), "2020-01-01T00:00:00Z"
    campaign = created(client)
    answers = [
        client.post("/v1/campaigns", json={"name": "late", "start_at": past}),
        client.post("/v1/campaigns", json={"name": "late", "deadline": past}),
        client.post(f"{campaign}/change", json={"deadline": past}),
        client.post("/v1/suppressions", json={"recipient": "ana@example.com", "expires_at": past}),
    ]

    assert [one.status_code for one in answers] == [422] * 4
    assert all("is in the past; give a later time" in one.text for one in answers)


def test_a_retry_counts_first_and_then_queues(client: httpx.Client) -> None:
    """The dry run changes nothing."""
    campaign = created(client)
    client.post(f"{campaign}/recipients", content=people(0, 10), headers=CSV)
    client.post(f"{campaign}/start")
    client.post(f"{campaign}/cancel")
    dry = client.post(f"{campaign}/retry", json={"states": ["cancelled"], "dry_run": True}).json()
    between = client.get(campaign).json()["counts"]["cancelled"]
    done = client.post(f"{campaign}/retry", json={"states": ["cancelled"]}).json()
    refused = client.post(f"{campaign}/retry", json={"states": ["accepted"]})

    assert (dry["matched"], dry["dry_run"], between) == (10, True, 10)
    assert (done["matched"], client.get(campaign).json()["counts"]["queued"]) == (10, 10)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/states")


def test_chosen_recipients_are_suppressed(api: Api) -> None:
    """Everything that matches goes on the list, and needs both scopes."""
    client, poor = api.client(scopes=["campaigns", "suppressions"]), api.client(name="poor", scopes=["campaigns"])
    campaign = created(client)
    client.post(f"{campaign}/recipients", content=people(0, 300), headers=CSV)
    none = client.post(f"{campaign}/suppress", json={"states": ["rejected"]}).json()
    all_of_them = client.post(f"{campaign}/suppress", json={"states": ["queued"]}).json()

    assert (none, all_of_them) == ({"new": 0, "recipients": 0}, {"new": 300, "recipients": 300})
    assert client.get("/v1/suppressions").json() == {"count": 300}
    assert poor.post(f"{campaign}/suppress", json={}).status_code == 403


def test_recipients_come_in_pages_without_addresses(client: httpx.Client) -> None:
    """The pages together have each recipient once."""
    campaign = created(client)
    client.post(f"{campaign}/recipients", content=people(0, 600), headers=CSV)
    numbers, cursor = [], 0
    while cursor is not None:
        page = client.get(f"{campaign}/recipients", params={"limit": 250, "cursor": cursor}).json()
        numbers += [one["number"] for one in page["recipients"]]
        cursor = page["next_cursor"]
    accepted = client.get(f"{campaign}/recipients", params={"state": "accepted"})

    assert numbers == list(range(600))
    assert accepted.json() == {"recipients": [], "next_cursor": None}
    assert "example.com" not in client.get(f"{campaign}/recipients").text


def test_addresses_need_their_scope_and_leave_an_entry(api: Api, redis_client: redis.Redis) -> None:
    """Revealed pages and exports are in the audit log, under the name of the person."""
    plain, clear = api.client(scopes=["campaigns"]), api.client_with(CONSOLE_KEY, **{"Gatepost-Actor": "ana"})
    campaign = created(plain)
    plain.post(f"{campaign}/recipients", content=people(0, 3), headers=CSV)
    refused = [plain.get(f"{campaign}/{path}").status_code for path in ("recipients?reveal=true", "export")]
    page = clear.get(f"{campaign}/recipients", params={"reveal": True})
    export = clear.get(f"{campaign}/export", params={"format": "csv"})
    entries = [json.loads(entry) for entry in redis_client.lrange("gatepost:audit", 0, -1)]

    assert refused == [403, 403]
    assert [one["recipient"] for one in page.json()["recipients"]] == [f"p{number}@example.com" for number in range(3)]
    assert page.headers["cache-control"] == export.headers["cache-control"] == "no-store"
    assert export.text.count("@example.com") == 3
    assert [(one["who"], one["action"]) for one in entries[-2:]] == [
        ("ana", "campaign.reveal"),
        ("ana", "campaign.export"),
    ]


def test_a_campaign_of_another_key_is_not_found(api: Api, client: httpx.Client) -> None:
    """No path shows that it exists; the console sees all."""
    campaign, other = created(client), api.client(name="other", scopes=["campaigns"])
    paths = ("", "/plan", "/recipients")
    statuses = {other.get(campaign + path).status_code for path in paths}
    acts = {other.post(f"{campaign}/{verb}").status_code for verb in ("start", "cancel")}
    odd = other.get("/v1/campaigns/x:batch:0").status_code

    assert (statuses, acts, odd) == ({404}, {404}, 404)
    assert other.get("/v1/campaigns").json()["campaigns"] == []
    assert api.client_with(CONSOLE_KEY).get(campaign).status_code == 200


def test_campaigns_come_in_pages_by_status(client: httpx.Client) -> None:
    """The newest first; the cursor continues after the last one."""
    paths = [created(client, rate=number + 1) for number in range(5)]
    client.post(f"{paths[1]}/recipients", content=people(0, 3), headers=CSV)
    client.post(f"{paths[1]}/start")
    first = client.get("/v1/campaigns", params={"state": "draft", "limit": 3}).json()
    second = client.get("/v1/campaigns", params={"state": "draft", "limit": 3, "cursor": first["next_cursor"]}).json()
    ids = [f"/v1/campaigns/{one['campaign_id']}" for one in first["campaigns"] + second["campaigns"]]

    assert ids == [paths[4], paths[3], paths[2], paths[0]]
    assert second["next_cursor"] is None


def test_a_test_send_goes_to_the_team(client: httpx.Client) -> None:
    """It is recorded as single messages with the campaign's options, and nothing goes to its recipients."""
    campaign = created(client, send="link")
    results = client.post(f"{campaign}/test", json={"to": ["me@example.com", "+447700900123"]}).json()["results"]
    wrong = client.post(f"{campaign}/test", json={"to": ["canary at example"]})

    assert [one["status"] for one in results] == [202, 202]
    assert wrong.json()["errors"][0]["pointer"] == "/to/0"
    assert client.get(f"/v1/operations/{results[0]['operation_id']}").json()["kind"] == "send_email"
    assert (wrong.status_code, "canary" in wrong.text) == (422, False)


def test_a_plan_and_the_quota_are_read(client: httpx.Client) -> None:
    """Both are as the command line prints them."""
    campaign = created(client)
    client.post(f"{campaign}/recipients", content=people(0, 10), headers=CSV)

    assert client.get(f"{campaign}/plan").json()["recipients"] == 10
    assert {one["endpoint"] for one in client.get("/v1/quota").json()["quotas"]} == {
        "passwordless/start",
        "oauth/token",
    }
