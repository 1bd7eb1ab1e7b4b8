"""The values that a reading passes to the limiter's script."""

from __future__ import annotations

import math
import struct

import pytest

from gatepost_worker.authentication.rate_limits import ClientQuota, RateLimits
from gatepost_worker.limiter import Permit, Reading
from gatepost_worker.limiter.readings import pack_readings
from support.keys import KEYS

NAMES = (
    "ticket",
    "age_us",
    "refused",
    "limit",
    "remaining",
    "reset_in",
    "retry_after",
    "policy_wait",
    "quota",
    "interval",
    "policy_remaining",
    "ignored",
)


def unpacked(reading: Reading, *, now: float, wall_now: float = 1_800_000_000.0) -> dict[str, float]:
    return dict(zip(NAMES, struct.unpack("<12d", reading.pack(now=now, wall_now=wall_now)), strict=True))


def test_what_the_response_says_arrives() -> None:
    """Every header has its place."""
    limits = RateLimits(
        limit=100,
        remaining=42,
        reset_epoch_s=1_800_000_003,
        retry_after_s=5.0,
        client_quota=ClientQuota(10, 1, 9),
        sent_at=9.9,
        received_at=10.0,
    )
    packed = unpacked(Reading(ticket=7, limits=limits, refused=True), now=10.0)

    assert packed == {
        "ticket": 7,
        "age_us": pytest.approx(50_000),
        "refused": 1,
        "limit": 100,
        "remaining": 42,
        "reset_in": 3,
        "retry_after": 5,
        "policy_wait": pytest.approx(math.nan, nan_ok=True),
        "quota": 10,
        "interval": 1,
        "policy_remaining": 9,
        "ignored": pytest.approx(math.nan, nan_ok=True),
    }


def test_what_the_response_does_not_say_is_no_number() -> None:
    """An absent header is not a zero."""
    packed = unpacked(Reading(ticket=7, limits=RateLimits()), now=10.0)

    assert all(math.isnan(packed[name]) for name in NAMES[3:])
    assert packed["age_us"] == 0


def test_a_slow_answer_was_counted_when_its_request_came_in() -> None:
    """An SMS provider kept the answer back for half a minute; the quota was taken at its beginning."""
    limits = RateLimits(limit=50, remaining=20, sent_at=0.0, received_at=30.0)
    packed = unpacked(Reading(ticket=7, limits=limits), now=30.5)

    assert packed["age_us"] == pytest.approx(30.45e6)


@pytest.mark.parametrize("skew", [-300.0, -0.4, 0.0, 0.4, 300.0])
def test_the_refill_is_found_by_auth0s_clock(skew: float) -> None:
    """Reset is an epoch second there; a clock here that is wrong by minutes does not matter."""
    wall = 1_800_000_000.0
    limits = RateLimits(reset_epoch_s=wall + 72 + skew, date_epoch_s=math.floor(wall + skew), received_at=10.0)
    packed = unpacked(Reading(ticket=7, limits=limits), now=10.0, wall_now=wall)

    assert packed["reset_in"] == pytest.approx(72, abs=1)


def test_hints_age_until_they_are_handed_over() -> None:
    """A reading that waited a second for its round trip says a second less."""
    limits = RateLimits(reset_epoch_s=1_800_000_002, retry_after_s=3.0, received_at=10.0)
    packed = unpacked(Reading(ticket=7, limits=limits), now=11.0)

    assert packed["retry_after"] == 2
    assert packed["reset_in"] == 2


@pytest.mark.parametrize(
    "reset",
    [1_800_000_000_000, 1_900_000_000, 1_800_000_901, 1_700_000_000, 60, 0],
    ids=["milliseconds", "years", "beyond", "past", "relative", "zero"],
)
def test_an_implausible_reset_is_not_handed_over(reset: float) -> None:
    """Epoch milliseconds, a time next year or one in the past says nothing of the refill."""
    packed = unpacked(Reading(ticket=7, limits=RateLimits(reset_epoch_s=reset, received_at=10.0)), now=10.0)

    assert math.isnan(packed["reset_in"])


@pytest.mark.parametrize("seconds", [901.0, 31_536_000.0, 1e15])
def test_an_implausible_retry_after_is_reported_and_not_handed_over(seconds: float) -> None:
    """An operator sees the hint; the limiter does not obey it."""
    packed = unpacked(Reading(ticket=7, limits=RateLimits(retry_after_s=seconds), refused=True), now=10.0)

    assert math.isnan(packed["retry_after"])
    assert packed["ignored"] == seconds


def test_the_longest_hint_is_a_setting() -> None:
    """A tenant whose quota returns after an hour can announce that."""
    reading = Reading(ticket=7, limits=RateLimits(retry_after_s=3000.0), refused=True)
    packed = struct.unpack("<12d", reading.pack(now=0.0, wall_now=0.0, longest_hint_s=3600.0))

    assert packed[NAMES.index("retry_after")] == 3000


def test_a_policy_with_nothing_left_waits_for_a_plausible_interval() -> None:
    """Its interval is the hint when nothing else is said, and only if it is no longer than a hint may be."""
    minute = RateLimits(client_quota=ClientQuota(10, 60, 0))
    month = RateLimits(client_quota=ClientQuota(10, 30 * 86_400, 0))
    absurd = RateLimits(client_quota=ClientQuota(10, 10**15, 0))

    assert unpacked(Reading(ticket=7, limits=minute), now=0.0)["policy_wait"] == 60
    assert math.isnan(unpacked(Reading(ticket=7, limits=month), now=0.0)["policy_wait"])
    assert unpacked(Reading(ticket=7, limits=month), now=0.0)["interval"] == 30 * 86_400
    assert math.isnan(unpacked(Reading(ticket=7, limits=absurd), now=0.0)["interval"])


def test_no_more_is_left_than_a_bucket_holds() -> None:
    """`Remaining` above `Limit` counts as a full bucket."""
    packed = unpacked(Reading(ticket=7, limits=RateLimits(limit=50, remaining=10**9)), now=0.0)

    assert packed["remaining"] == 50


def test_readings_follow_each_other() -> None:
    """Ninety-six bytes each."""
    readings = [Reading(ticket=ticket, limits=RateLimits()) for ticket in (1, 2, 3)]

    assert len(pack_readings(readings, now=0.0, wall_now=0.0)) == 288
    assert pack_readings([], now=0.0, wall_now=0.0) == b""


def test_a_permit_has_a_ticket_for_each_request() -> None:
    """In sending order."""
    assert list(Permit(3, 10).tickets) == [10, 11, 12]


def test_keys_name_what_they_hold() -> None:
    """One key a tenant and endpoint; one a ceiling."""
    assert KEYS.limiter("main", "oauth/token") == "gatepost:limiter:main:oauth/token"
    assert KEYS.ceiling("c-1") == "gatepost:ceiling:c-1"
