"""The tenant's limits: the order of the buckets, and their headers."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from gatepost_simulator.limits import RateLimits
from gatepost_simulator.settings import Quota, plan_buckets
from support.simulated_requests import START, TOKEN, request

NOW = 1_000_000.0


def limits(**quota: Any) -> RateLimits:
    return RateLimits(Quota.model_validate(quota), NOW)


def header(found: list[tuple[bytes, bytes]], name: str) -> str | None:
    return next((value.decode() for key, value in found if key == name.encode()), None)


def test_the_tenants_bucket_comes_first() -> None:
    """A request that the tenant refuses costs the endpoint nothing."""
    limited = limits(tenant={"size": 1, "refill": 1}, endpoints={START: {"size": 5, "refill": 5}})
    first, second = request(), request()
    admitted = limited.admit(first, NOW), limited.admit(second, NOW)

    assert admitted == (True, False)
    assert limited.endpoints[START].remaining() == 4
    assert second.bucket is limited.tenant


def test_headers_tell_about_the_endpoints_bucket_where_there_is_one() -> None:
    """Limit and Remaining are those of the narrower bucket that the request passed."""
    limited = limits(tenant={"size": 100, "refill": 100}, endpoints={TOKEN: {"size": 30, "refill": 30}})
    asked = request(TOKEN)
    limited.admit(asked, NOW)
    found = limited.headers(asked, NOW)

    assert header(found, "x-ratelimit-limit") == "30"
    assert header(found, "x-ratelimit-remaining") == "29"


@pytest.mark.parametrize(("reading", "reset"), [("next", NOW + 72), ("full", NOW + 3600)])
def test_reset_is_an_epoch_time_in_both_readings(reading: str, reset: float) -> None:
    """Reset is seconds since the epoch: of the next token, or of the full bucket."""
    limited = limits(tenant={"size": 50, "refill": 50, "period_s": 3600}, reset=reading)
    for _ in range(50):
        limited.admit(request(), NOW)

    assert header(limited.headers(request(), NOW), "x-ratelimit-reset") == str(int(reset))


@pytest.mark.parametrize(("form", "expected"), [("absent", None), ("seconds", "72")])
def test_retry_after_on_a_refusal(form: str, expected: str | None) -> None:
    """Retry-After appears only if the switch is set, in seconds."""
    limited = limits(tenant={"size": 50, "refill": 50, "period_s": 3600}, retry_after=form)
    limited.tenant.set_level(0, NOW)
    answer = limited.refusal(request(), NOW)

    assert answer.status == 429
    assert header(list(answer.headers), "retry-after") == expected


def test_retry_after_as_a_date() -> None:
    """Retry-After as an HTTP date names the same moment."""
    limited = limits(tenant={"size": 50, "refill": 50, "period_s": 3600}, retry_after="date")
    limited.tenant.set_level(0, NOW)
    value = header(list(limited.refusal(request(), NOW).headers), "retry-after")

    assert value is not None
    assert parsedate_to_datetime(value).timestamp() == NOW + 72


def test_client_policy_is_told_in_its_own_header() -> None:
    """A custom policy appears in Auth0-RateLimit, while X-RateLimit describes the tenant."""
    limited = limits(tenant={"size": 100, "refill": 100}, clients={"app": {"size": 2, "refill": 10}})
    asked = [request(client_id="app") for _ in range(3)]
    admitted = [limited.admit(each, NOW) and limited.admit_client(each, NOW) for each in asked]
    found = limited.headers(asked[2], NOW)

    assert admitted == [True, True, False]
    assert header(found, "auth0-ratelimit") == "client;q=2;t=1;r=0"
    assert header(found, "x-ratelimit-limit") == "100"


def test_client_policy_of_zero_blocks() -> None:
    """A policy of 0 refuses every request of that client and of no other."""
    limited = limits(clients={"app": {"size": 0, "refill": 0}})

    assert not limited.admit_client(request(client_id="app"), NOW)
    assert limited.admit_client(request(client_id="other"), NOW)


@pytest.mark.parametrize(
    ("mode", "authenticated", "admitted"),
    [("off", False, 60), ("unauthenticated", True, 60), ("unauthenticated", False, 50), ("always", True, 50)],
)
def test_hourly_bucket_of_an_address(mode: str, authenticated: bool, admitted: int) -> None:  # noqa: FBT001 - a table
    """The 50 an hour for each IP count always, for unauthenticated calls, or never."""
    limited = limits(per_ip=mode)
    passed = sum(limited.admit_address(request(), NOW, authenticated=authenticated) for _ in range(60))

    assert passed == admitted
    assert limited.admit_address(request(peer="192.0.2.2"), NOW, authenticated=authenticated)


def test_plans_have_auth0s_numbers() -> None:
    """The free plan allows 300 a minute and 30 token calls a second; its own values win over the plan's."""
    tenant, endpoints = plan_buckets(Quota(plan="free"))
    own, _ = plan_buckets(Quota.model_validate({"plan": "free", "tenant": {"size": 7, "refill": 7}}))

    assert (tenant.size, tenant.refill, tenant.period_s) == (300, 300, 60)
    assert endpoints[TOKEN].size == 30
    assert own.size == 7


@pytest.mark.parametrize("shape", ["A", "C", "text", "html", "empty"])
def test_a_refusal_comes_in_the_shape_asked_for(shape: str) -> None:
    """The body of a 429 is a switch; the status is not."""
    answer = limits(body=shape).refusal(request(), NOW)

    assert answer.status == 429
    assert (answer.body == b"") == (shape == "empty")
