"""Limits over HTTP: headers on every response, refusals, forwarded addresses, foreign traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost_simulator.settings import PUBLIC_CLIENT_ID

if TYPE_CHECKING:
    import requests

    from gatepost_simulator.control import ControlClient
    from support.tenant_client import TenantClient

HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


def told(answer: requests.Response) -> list[int]:
    return [int(answer.headers[name]) for name in HEADERS]


def test_every_response_tells_the_limits(tenant: TenantClient, control: ControlClient) -> None:
    """Success, refusal, unknown path, documents, preflight: all carry the three headers."""
    now = control.now()
    answers = [
        tenant.start(email="ada@example.com"),
        tenant.start(email="bad"),
        tenant.login("ada@example.com", "000000"),
        tenant.get("/.well-known/jwks.json"),
        tenant.get("/nowhere"),
        tenant.get("/oauth/token"),
        tenant.session.options(f"{tenant.url}/oauth/token", timeout=10),
        tenant.start(email="ada+503-after@example.com"),
    ]

    assert [answer.status_code for answer in answers] == [200, 400, 403, 200, 404, 405, 204, 503]
    assert all(abs(told(answer)[2] - now) < 5 for answer in answers)


def test_a_full_quota_refuses_and_refills(tenant: TenantClient, control: ControlClient) -> None:
    """The third of two is refused, sends nothing, and works when the reset time has come."""
    control.set_quota(tenant={"size": 2, "refill": 2, "period_s": 60}, retry_after="seconds")
    control.freeze_clock()
    statuses = [tenant.start(email=f"{number}@example.com").status_code for number in range(2)]
    refused = tenant.start(email="third@example.com")
    control.advance_clock(told(refused)[2] - control.now())
    again = tenant.start(email="third@example.com")

    assert statuses == [200, 200]
    assert (refused.status_code, refused.json()["error"]) == (429, "too_many_requests")
    assert told(refused)[:2] == [2, 0]
    assert refused.headers["retry-after"] == "30"
    assert again.status_code == 200
    assert control.count("third@example.com") == 1


def test_a_client_policy_refuses_over_and_above_the_tenant(tenant: TenantClient, control: ControlClient) -> None:
    """The policy counts start and token together and appears in a separate header."""
    control.set_quota(plan="unlimited", clients={"gatepost-dev": {"size": 2, "refill": 0}})
    first = tenant.start(email="ada@example.com")
    tenant.login("ada@example.com", "000000")
    third = tenant.start(email="ada@example.com")

    assert first.headers["auth0-ratelimit"] == "client;q=2;t=1;r=1"
    assert third.status_code == 429
    assert third.headers["x-ratelimit-remaining"] != "0"


@pytest.mark.parametrize("mode", ["unauthenticated", "always"])
def test_fifty_an_hour_for_each_address(tenant: TenantClient, control: ControlClient, mode: str) -> None:
    """Public clients meet the hourly bucket in both modes, and the headers show it."""
    control.set_quota(plan="unlimited", per_ip=mode, ip={"size": 2, "refill": 2, "period_s": 3600})
    answers = [tenant.start(client_id=PUBLIC_CLIENT_ID, client_secret=None, email="ada@example.com") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert told(answers[2])[:2] == [2, 0]


def test_confidential_clients_are_exempt_unless_always(tenant: TenantClient, control: ControlClient) -> None:
    """By default an authenticated start never meets the hourly bucket."""
    hourly = {"size": 1, "refill": 1, "period_s": 3600}
    control.set_quota(plan="unlimited", per_ip="unauthenticated", ip=hourly)
    exempt = [tenant.start(email="ada@example.com").status_code for _ in range(3)]
    control.set_quota(plan="unlimited", per_ip="always", ip=hourly)
    counted = [tenant.start(email="ada@example.com").status_code for _ in range(3)]

    assert exempt == [200, 200, 200]
    assert counted == [200, 429, 429]


def test_a_trusted_forwarded_address_has_its_own_bucket(tenant: TenantClient, control: ControlClient) -> None:
    """With a secret and a client that trusts it, auth0-forwarded-for is the address that counts."""
    control.set_quota(plan="unlimited", per_ip="always", ip={"size": 1, "refill": 1, "period_s": 3600})
    statuses = [
        tenant.start(email="ada@example.com", headers={"auth0-forwarded-for": f"203.0.113.{number}"}).status_code
        for number in range(3)
    ]

    assert statuses == [200, 200, 200]
    assert control.request_log()[-1]["ip"] == "203.0.113.2"


def test_an_untrusted_forwarded_address_is_ignored(tenant: TenantClient, control: ControlClient) -> None:
    """Without the trust flag the header changes nothing, silently."""
    control.register_client(client_id="distrusting", client_secret="s3cret")
    control.set_quota(plan="unlimited", per_ip="always", ip={"size": 1, "refill": 1, "period_s": 3600})
    statuses = [
        tenant.start(
            client_id="distrusting",
            client_secret="s3cret",
            email="ada@example.com",
            headers={"auth0-forwarded-for": f"203.0.113.{number}"},
        ).status_code
        for number in range(2)
    ]

    assert statuses == [200, 429]


def test_foreign_traffic_eats_the_quota_and_counts_its_refusals(tenant: TenantClient, control: ControlClient) -> None:
    """Everybody else's requests empty the bucket; their own 429s are counted; the rate can be changed."""
    control.set_quota(tenant={"size": 10, "refill": 10})
    control.freeze_clock()
    control.foreign_traffic(100, arrivals="even")
    control.advance_clock(10)
    refused = tenant.start(email="ada@example.com")
    busy = control.foreign_traffic()["tenant"]
    control.foreign_traffic(0)
    control.advance_clock(10)
    quiet = tenant.start(email="ada@example.com")

    assert refused.status_code == 429
    assert busy["accepted"] == pytest.approx(110, abs=2)
    assert busy["accepted"] + busy["refused"] == pytest.approx(1000, abs=1)
    assert told(quiet)[1] == 9
    assert control.foreign_traffic()["tenant"]["accepted"] == busy["accepted"]


def test_foreign_traffic_can_hit_one_endpoint(tenant: TenantClient, control: ControlClient) -> None:
    """An endpoint's own bucket may have foreign traffic, too."""
    control.set_quota(plan="unlimited", endpoints={"/oauth/token": {"size": 5, "refill": 1}})
    control.freeze_clock()
    control.foreign_traffic(50, endpoint="/oauth/token", arrivals="even")
    control.advance_clock(5)

    assert tenant.login("ada@example.com", "000000").status_code == 429
    assert tenant.start(email="ada@example.com").status_code == 200
