"""API keys: their rights, their limits, and what Redis knows of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from gatepost_operations.cli.entry import main
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.web.api.access import OpenRequests
from support.web_api import CONSOLE_KEY

if TYPE_CHECKING:
    import redis

    from support.web_api import Api

ANA = {"email": "ana@example.com"}
UK, IE = {"phone_number": "+447700900123"}, {"phone_number": "+353851234567"}


def created(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """The key that the command line made."""
    assert main(["api-keys", "create", "shop", *options, "--json"]) == ExitCode.DONE
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("configured")
def test_a_key_of_the_command_line_works_until_it_is_revoked(
    api: Api, capsys: pytest.CaptureFixture[str], redis_client: redis.Redis
) -> None:
    """It is shown once; Redis holds a digest; the audit log has both acts."""
    made = created(capsys, "--kind", "send_email", "--scope", "read")
    before = api.client_with(made["key"]).post("/v1/messages", json=ANA).status_code
    stored = b"".join(redis_client.hvals("gatepost:api_keys"))
    assert main(["api-keys", "list"]) == ExitCode.DONE
    listed = capsys.readouterr().out
    assert main(["api-keys", "revoke", "shop"]) == ExitCode.DONE
    entries = [json.loads(entry)["action"] for entry in redis_client.lrange("gatepost:audit", 0, -1)]
    api.forget()
    after = api.client_with(made["key"]).post("/v1/messages", json=ANA).status_code

    assert (before, after) == (202, 401)
    secret = made["key"].split("_", 2)[2]
    assert secret.encode() not in stored
    assert secret not in listed
    assert "shop" in listed
    assert [one for one in entries if one.startswith("api_keys")] == ["api_keys.create", "api_keys.revoke"]


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    "options",
    [("--kind", "send_sms"), ("--country", "UK"), ("--domain", "example"), ("--per-hour", "0")],
)
def test_a_key_that_invites_abuse_or_has_a_typing_error_is_refused(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A key for SMS needs countries, and each right is checked."""
    code = main(["api-keys", "create", "shop", *options])

    assert code == ExitCode.USAGE
    assert options[0].strip("-") in capsys.readouterr().err or options[0] == "--kind"


def test_write_access_to_redis_widens_no_right(api: Api, redis_client: redis.Redis) -> None:
    """The stored digest covers the rights too."""
    key = api.key(kinds=["send_email"])
    ((key_id, stored),) = redis_client.hgetall("gatepost:api_keys").items()
    wider = json.loads(stored) | {"scopes": ["reveal"]}
    redis_client.hset("gatepost:api_keys", key_id, json.dumps(wider))

    assert api.client_with(key).post("/v1/messages", json=ANA).status_code == 401


@pytest.mark.parametrize(
    ("rights", "method", "path"),
    [
        ({"kinds": ["login_with_email"]}, "POST", "/v1/messages"),
        ({"kinds": ["send_email"]}, "POST", "/v1/logins"),
        ({"tenants": ["other"]}, "POST", "/v1/messages"),
        ({"domains": ["example.org"]}, "POST", "/v1/messages"),
        ({"scopes": ["read"]}, "POST", "/v1/campaigns"),
        ({"scopes": ["campaigns"]}, "GET", "/v1/suppressions"),
        ({"scopes": ["campaigns", "reveal"]}, "GET", "/v1/audit"),
        ({"scopes": ["reveal"]}, "GET", "/v1/campaigns"),
    ],
)
def test_a_key_does_no_more_than_its_rights(api: Api, rights: dict[str, Any], method: str, path: str) -> None:
    """Kinds, tenants, domains and scopes are checked before anything is recorded."""
    answer = api.client(**rights).request(method, path, json=ANA if method == "POST" else None)

    assert answer.status_code == 403


def test_sms_reach_allowed_countries_only(api: Api) -> None:
    """The country is that of the number's plan."""
    client = api.client(countries=["GB"])

    assert [client.post("/v1/messages", json=one).status_code for one in (UK, IE)] == [202, 403]


@pytest.mark.parametrize(
    ("number", "rules"), [("+449098790123", "allow_landlines=true"), ("+18762221234", "numbers=length")]
)
def test_chosen_rules_do_not_reach_costly_numbers(api: Api, number: str, rules: str) -> None:
    """A key with countries texts no premium number, and none whose country is a guess, whatever rules the caller chooses."""
    client = api.client(scopes=["campaigns"], countries=["GB", "US"])
    campaign = client.post("/v1/campaigns", json={"name": "spring"}).headers["location"]
    rows = f"phone_number\n{number}\n"
    answer = client.post(f"{campaign}/recipients?{rules}", content=rows, headers={"content-type": "text/csv"})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/2/phone_number")


def test_a_key_without_the_header_or_with_another_secret_is_refused(api: Api) -> None:
    """All wrong keys get the same answer."""
    key = api.key()
    wrong = [key[:-2] + ("AA" if key[-2:] != "AA" else "BB"), "gatepost_x_y", "_", "clé"]
    answers = [
        api.client_with("x").get("/v1/quota", headers={"Authorization": f"Bearer {one}".encode()}) for one in wrong
    ]

    assert {(one.status_code, one.headers["www-authenticate"]) for one in answers} == {(401, 'Bearer realm="gatepost"')}


def test_failed_tries_are_slowed_and_then_refused(api: Api) -> None:
    """After twenty wrong keys in a minute, wrong keys wait. A right one does not: clients behind one proxy share its address."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    api.app.state.failed_tries.sleep = note
    wrong, right = api.client_with("gatepost_x_y"), api.client()
    statuses = [wrong.get("/v1/quota").status_code for _ in range(21)]
    blocked, served = wrong.get("/v1/quota"), right.post("/v1/messages", json=ANA)

    assert statuses == [401] * 20 + [429]
    assert served.status_code == 202
    assert waits == [0.5] * 20
    assert (blocked.status_code, blocked.json()["violated-policies"]) == (429, ["failed-tries"])
    assert 0 < int(blocked.headers["retry-after"]) <= 61


def test_a_key_has_a_quota_by_the_hour(api: Api) -> None:
    """The refusal says when to come back, and a repeated item costs nothing."""
    client = api.client(per_hour=2)
    people = [{"email": f"p{number}@example.com", "idempotency_key": str(number)} for number in range(3)]
    first = client.post("/v1/messages", json=people).json()["results"]
    again = client.post("/v1/messages", json=people).json()["results"]
    refused = client.post("/v1/messages", json=ANA)

    assert [one["status"] for one in first] == [202, 202, 429]
    assert [one["status"] for one in again] == [202, 202, 429]
    assert refused.json()["violated-policies"] == ["hour"]
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert refused.headers["ratelimit"].startswith('"hour";r=0;t=')


def test_a_person_and_a_country_have_limits(api: Api) -> None:
    """All keys together send to a person, and each key to a country, no more than the limit."""
    first, second = api.client(per_recipient=2), api.client(name="other", per_recipient=2, per_country=1)
    to_ana = [one.post("/v1/messages", json=ANA).status_code for one in (first, second, first, second)]
    login = first.post("/v1/logins", json={**ANA, "code": "123456"}).status_code
    to_uk = [second.post("/v1/messages", json={"phone_number": f"+44770090012{n}"}) for n in (1, 2)]

    assert to_ana == [202, 202, 429, 429]
    assert login == 202
    assert [one.status_code for one in to_uk] == [202, 429]
    assert to_uk[1].json()["violated-policies"] == ["country"]


def test_a_tag_in_an_address_does_not_make_another_person(api: Api) -> None:
    """Mail to all tags reaches one mailbox."""
    client = api.client(per_recipient=2)
    tagged = ["ana@example.com", "ana+1@example.com", "Ana+2@Example.com", "+3@example.com"]
    answers = [client.post("/v1/messages", json={"email": one}).status_code for one in tagged]

    assert answers == [202, 202, 429, 202]


def test_open_requests_of_a_key_are_limited(api: Api) -> None:
    """Waits and slow bodies of one key leave room for the others; an answered request counts no more."""
    key = api.key()
    first, second = api.client_with(key), api.client(name="other")
    limited = api.app.state.open_requests = OpenRequests(most=1)
    before = [first.post("/v1/messages", json=ANA).status_code for _ in range(2)]
    found = api.app.state.services.api_keys.find(SecretStr(key))
    with limited.one_of(found):
        refused, other = first.post("/v1/messages", json=ANA), second.post("/v1/messages", json=ANA).status_code

    assert before == [202, 202]
    assert (refused.status_code, refused.json()["violated-policies"]) == (429, ["open-requests"])
    assert other == 202


def test_only_the_console_names_who_acts(api: Api, redis_client: redis.Redis) -> None:
    """The audit log has the person's name for the console, and the key's name otherwise."""
    console, other = api.client_with(CONSOLE_KEY), api.client(scopes=["campaigns"])
    actor = {"Gatepost-Actor": "Ana Müller".encode()}
    by_console = console.post("/v1/campaigns", json={"name": "spring"}, headers=actor)
    by_key = other.post("/v1/campaigns", json={"name": "summer"})
    refused = other.post("/v1/campaigns", json={"name": "autumn"}, headers=actor)
    who = [json.loads(entry)["who"] for entry in redis_client.lrange("gatepost:audit", 1, -1)]

    assert (by_console.status_code, by_key.status_code, refused.status_code) == (201, 201, 403)
    assert who == ["Ana Müller", "api key shop"]
