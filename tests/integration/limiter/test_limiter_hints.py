"""Hints that cannot be right, and blocks that an operator lifts: the limiter looks for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatepost_core.kinds import Lane
from gatepost_worker.authentication.rate_limits import ClientQuota, parse_rate_limits
from gatepost_worker.limiter import Permit, Reading, Wait, WaitReason
from support.keys import KEYS
from support.limiter_desk import EPOCH, KEY, Desk, drain

if TYPE_CHECKING:
    import redis


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    return Desk(redis_client)


@pytest.mark.parametrize(
    "hints",
    [
        {"retry_after_s": 31_536_000.0},
        {"retry_after_s": 1_000.0, "remaining": 0},
        {"remaining": 0, "reset_epoch_s": EPOCH * 1000.0},
        {"remaining": 0, "reset_epoch_s": EPOCH + 86_400.0},
        {"remaining": 0, "reset_epoch_s": 60.0},
        {"remaining": 20, "client_quota": ClientQuota(10, 86_400, 0)},
        {"remaining": 20, "client_quota": ClientQuota(10**15, 10**15, 0)},
    ],
    ids=[
        "a year",
        "beyond the bound",
        "milliseconds",
        "tomorrow",
        "relative",
        "a policy a day",
        "a policy of nonsense",
    ],
)
def test_an_implausible_hint_blocks_no_longer_than_no_hint(desk: Desk, hints: dict[str, Any]) -> None:
    """A second, then two, then four, and a few requests look each time."""
    desk.know(50, 30)
    limits = {"limit": 50, **hints} if "remaining" in hints else hints
    waits = []
    for _ in range(3):
        while not isinstance(granted := desk.ask(Lane.INTERACTIVE), Permit):
            desk.now += granted.seconds
        desk.observe(granted.first_ticket, refused=True, **limits)
        waits.append(desk.wait(Lane.INTERACTIVE).seconds)
        desk.now += waits[-1]

    # A quarter of a second keeps workers apart, and repeated questions get a slightly longer wait.
    assert all(usual <= wait <= usual + 1.25 for usual, wait in zip((1, 2, 4), waits, strict=True))


def test_a_plausible_hint_is_obeyed_beside_an_implausible_one(desk: Desk) -> None:
    """Epoch milliseconds in `Reset` do not hide a `Retry-After` of seven seconds."""
    ticket = desk.know(50, 30)
    desk.observe(ticket, refused=True, limit=50, remaining=0, reset_epoch_s=EPOCH * 1000.0, retry_after_s=7.0)

    assert desk.wait().seconds == pytest.approx(7, abs=0.5)


def test_the_longest_hint_is_what_the_settings_say(redis_client: redis.Redis) -> None:
    """An hour is obeyed where an hour is allowed."""
    desk = Desk(redis_client, longest_hint_s=3600)
    ticket = desk.know(50, 30)
    desk.observe(ticket, refused=True, limit=50, remaining=0, retry_after_s=3600.0)

    assert desk.wait().seconds == pytest.approx(3600, abs=1)


def test_a_hint_that_is_not_obeyed_is_shown(desk: Desk) -> None:
    """The state has it, and how long ago it came."""
    ticket = desk.know(50, 30)
    before = desk.limiter.describe(KEY)
    desk.observe(ticket, refused=True, limit=50, remaining=0, retry_after_s=31_536_000.0)
    desk.now += 5
    after = desk.limiter.describe(KEY)

    assert before is not None
    assert after is not None
    assert before.ignored_hint_s is None
    assert (after.ignored_hint_s, after.ignored_hint_age_s) == (31_536_000, pytest.approx(5))


def test_after_a_429_two_requests_look_before_the_rest_follow(desk: Desk) -> None:
    """Its headers said that there is enough, and it refused all the same: not everybody finds out at once."""
    desk.know(50, 40)
    desk.observe(desk.permit(Lane.INTERACTIVE).first_ticket, refused=True, limit=50, remaining=40)
    desk.now += 2
    looks = [desk.permit(Lane.INTERACTIVE).first_ticket for _ in range(2)]
    wait = desk.wait(Lane.INTERACTIVE)
    desk.observe(looks[0], limit=50, remaining=40)

    assert wait.reason is WaitReason.COLD
    assert drain(desk, Lane.INTERACTIVE) > 20


def test_a_block_that_is_cleared_is_over(desk: Desk) -> None:
    """Two requests look, although the refusal said that nothing is left; a success ends the probing."""
    ticket = desk.know(50, 40)
    desk.observe(ticket, refused=True, limit=50, remaining=0, retry_after_s=600.0)
    blocked = desk.wait()
    left = desk.limiter.clear(KEY)
    looks = [desk.permit(Lane.INTERACTIVE).first_ticket for _ in range(2)]
    desk.now += 0.1
    desk.observe(looks[0], limit=50, remaining=45)

    assert blocked.reason is WaitReason.BLOCKED
    assert left == pytest.approx(600, abs=1)
    assert desk.limiter.clear(KEY) == 0
    assert isinstance(desk.ask(Lane.INTERACTIVE), Permit)


def test_nothing_is_cleared_where_nothing_is_known(desk: Desk) -> None:
    """The key stays absent."""
    assert desk.limiter.clear(KEY) == 0
    assert desk.limiter.describe(KEY) is None


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(
            st.sampled_from(
                ["0", "-1", "1", "50", "1e9", "NaN", "inf", "9" * 15, "9" * 40, "1800000000000", "1800086400", "2"]
            ),
            st.sampled_from(
                ["Fri, 15 Jan 0001 08:00:00 -0000", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"]
            ),
            st.sampled_from(["client;q=0;t=0;r=0", "client;q=9;t=999999999999999;r=0", "client;q=-5;t=-5;r=-5"]),
            st.integers(-(10**20), 10**20).map(str),
            st.text(max_size=12),
        )
        for name in (
            *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
            *("Retry-After", "Date", "Auth0-RateLimit"),
        )
    },
)


@given(answers=st.lists(st.tuples(HEADERS, st.booleans()), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_header_breaks_the_limiter_or_blocks_it_for_long(
    redis_client: redis.Redis, answers: list[tuple[dict[str, str], bool]]
) -> None:
    """Whatever answers said, no call fails, no wait exceeds the longest hint, and sound answers bring the pace back."""
    redis_client.delete(KEYS.limiter(KEY.tenant, KEY.endpoint))
    desk = Desk(redis_client)
    for headers, refused in answers:
        desk.now += 1
        granted = desk.ask(Lane.INTERACTIVE)
        if isinstance(granted, Wait):
            assert granted.seconds <= 901
            desk.now += granted.seconds
            continue
        limits = parse_rate_limits(headers, now_epoch_s=EPOCH + desk.now, sent_at=desk.now - 0.1, received_at=desk.now)
        desk.limiter.observe(KEY, [Reading(ticket=granted.first_ticket, limits=limits, refused=refused)])
        assert desk.limiter.describe(KEY) is not None
    for _ in range(40):
        desk.now += 900
        if isinstance(granted := desk.ask(Lane.INTERACTIVE), Permit):
            desk.observe(granted.first_ticket, limit=100, remaining=99)
    assert drain(desk, Lane.BULK) >= 20
