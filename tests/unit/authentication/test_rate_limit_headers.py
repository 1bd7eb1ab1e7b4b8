"""Reading the quota from headers, leniently."""

from __future__ import annotations

import pytest
from requests.structures import CaseInsensitiveDict

from gatepost_worker.authentication.rate_limits import ClientQuota, RateLimits, parse_rate_limits

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


def parse(**headers: str) -> RateLimits:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse_rate_limits(CaseInsensitiveDict(named), now_epoch_s=NOW)


def test_the_three_headers_are_read() -> None:
    """Reset is an absolute time in epoch seconds."""
    limits = parse(x_ratelimit_limit="50", x_ratelimit_remaining="49", x_ratelimit_reset="1800000060")

    assert (limits.limit, limits.remaining, limits.reset_epoch_s) == (50, 49, 1_800_000_060)
    assert limits.reset_in_s(NOW) == 60


@pytest.mark.parametrize("value", ["", "soon", "-5", "1e9", "NaN", "1,000", "9" * 40, "٣"])
def test_an_unreadable_value_counts_as_absent(value: str) -> None:
    """A proxy's whim must not crash a worker."""
    limits = parse(x_ratelimit_limit=value, x_ratelimit_remaining=value, x_ratelimit_reset=value, retry_after=value)

    assert limits == RateLimits()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
    ],
)
def test_retry_after_comes_in_two_forms(value: str, seconds: float) -> None:
    """Seconds, or an HTTP date (RFC 9110, section 10.2.3)."""
    assert parse(retry_after=value).retry_after_s == seconds


def test_the_servers_clock_corrects_a_skewed_one() -> None:
    """With a Date header the clock here does not matter."""
    limits = parse(
        date="Fri, 15 Jan 2027 09:00:00 GMT",
        x_ratelimit_reset="1800003660",
        retry_after="Fri, 15 Jan 2027 09:00:30 GMT",
    )

    assert limits.reset_in_s(NOW) == 60
    assert limits.retry_after_s == 30


def test_a_refill_in_the_past_is_no_hint() -> None:
    """Nor is one that is missing."""
    assert parse(x_ratelimit_reset="1700000000").wait_s(NOW) is None
    assert parse().wait_s(NOW) is None


def test_the_wait_is_the_longer_hint() -> None:
    """Neither header alone is to be trusted."""
    assert parse(x_ratelimit_reset="1800000060", retry_after="5").wait_s(NOW) == 60
    assert parse(x_ratelimit_reset="1800000060", retry_after="90").wait_s(NOW) == 90


@pytest.mark.parametrize(
    "value", ["client;q=10;t=1;r=9", "client; q=10; t=1; r=9", '"client";r=9;t=1;q=10', "client;Q=10;T=1;R=9;x=1"]
)
def test_a_custom_policys_quota_is_read_leniently(value: str) -> None:
    """Auth0's form is a hybrid of two drafts."""
    assert parse(auth0_ratelimit=value).client_quota == ClientQuota(quota=10, interval_s=1, remaining=9)


@pytest.mark.parametrize("value", ["", "client", "client;q=10", "q=1;t=2"])
def test_half_a_quota_is_none(value: str) -> None:
    """All three numbers or nothing."""
    assert parse(auth0_ratelimit=value).client_quota is None
