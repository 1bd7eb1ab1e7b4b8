"""The limiter's rules one by one, over a real Valkey and a clock that only the test moves."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gatepost.errors import Unavailable
from gatepost_core.kinds import Lane
from gatepost_worker.authentication.rate_limits import ClientQuota, RateLimits
from gatepost_worker.limiter import (
    Ceiling,
    LimiterKey,
    LimiterSettings,
    LimiterUnavailable,
    Permit,
    Reading,
    RedisLimiter,
    Wait,
    WaitReason,
    lua_library,
    pack_settings,
)
from support.keys import KEYS
from support.limiter_desk import EPOCH, KEY, Desk, drain

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    return Desk(redis_client)


def test_no_worker_bursts_into_an_unknown_quota(desk: Desk) -> None:
    """Two requests find out; the others wait for what those learn."""
    permits = drain(desk, Lane.BULK)

    assert permits == 2
    assert desk.wait().reason is WaitReason.COLD


def test_a_lost_first_answer_does_not_stop_the_cold_start_for_ever(desk: Desk) -> None:
    """The worker that was to find out has died; five seconds later another may."""
    drain(desk, Lane.BULK)
    desk.now += 6

    assert drain(desk, Lane.BULK) == 1


def test_bulk_leaves_the_reserve_and_logins_take_it(desk: Desk) -> None:
    """Of a bucket of 50, ten stay for logins."""
    desk.know(50, 50 - 1)

    assert 37 <= drain(desk, Lane.BULK) <= 39
    assert 10 <= drain(desk, Lane.INTERACTIVE) <= 12


def test_the_share_of_the_reserve_can_be_chosen(redis_client: redis.Redis) -> None:
    """Half of the bucket, if it is configured."""
    desk = Desk(redis_client, reserve_share=0.5)
    desk.know(50, 50 - 1)

    assert 22 <= drain(desk, Lane.BULK) <= 24


def test_a_permit_covers_no_more_than_was_asked_for_and_than_there_is(desk: Desk) -> None:
    """Blocks of permits have tickets that follow each other."""
    desk.know(50, 50 - 1)
    first, rest = desk.permit(want=30), desk.permit(want=30)

    assert first.granted == 30
    assert 7 <= rest.granted <= 9
    assert [*first.tickets, *rest.tickets] == list(range(first.first_ticket, first.first_ticket + 30 + rest.granted))


def test_a_reading_can_come_with_the_question(desk: Desk) -> None:
    """One round trip takes in the last answer and gives the next permit."""
    ticket = desk.permit().first_ticket
    desk.permit()
    desk.now += 0.1

    assert isinstance(desk.ask(), Wait)
    assert isinstance(desk.ask(readings=[desk.reading(ticket, limit=50, remaining=49)]), Permit)


def test_bulk_keeps_a_cushion_above_the_reserve_where_others_come_fast(desk: Desk) -> None:
    """Of a quota of 100 a second, 20 are the reserve, and others may take seven before the next answer tells."""
    ticket = desk.permit(Lane.INTERACTIVE).first_ticket
    desk.observe(ticket, limit=1000, remaining=999, client_quota=ClientQuota(100, 1, 100))

    assert 70 <= drain(desk, Lane.BULK) <= 74


def test_a_level_that_falls_is_foretold_for_a_second_and_no_further(desk: Desk) -> None:
    """Others took 20 a second; without news for ten seconds the bucket is not believed to be empty."""
    ticket = desk.know(100, 90)
    for remaining in range(88, 48, -2):
        desk.now += 0.1
        desk.observe(ticket, limit=100, remaining=remaining)
    desk.now += 10
    state = desk.limiter.describe(KEY)

    assert state is not None
    assert state.bucket is not None
    assert 20 <= state.bucket.level <= 40
    assert drain(desk, Lane.INTERACTIVE) == 2


def test_what_is_under_way_counts(desk: Desk) -> None:
    """An answer from before the others arrived says 49; the limiter knows that 20 more are on their way."""
    ticket = desk.know(50, 49)
    desk.permit(want=20)
    desk.observe(ticket, limit=50, remaining=49)

    assert 16 <= drain(desk, Lane.BULK) <= 19


def test_a_foreign_consumer_is_seen_by_the_next_answer(desk: Desk) -> None:
    """Another application took 25 of 50 between two of our answers."""
    desk.know(50, 49)
    ticket = desk.permit().first_ticket
    desk.now += 0.5
    desk.observe(ticket, limit=50, remaining=23)

    assert 8 <= drain(desk, Lane.BULK) <= 13


def test_another_limit_moves_the_reserve_at_once(desk: Desk) -> None:
    """The plan was upgraded: of 100 there are 70 left, and 20 of those are the reserve."""
    ticket = desk.know(50, 49)
    desk.observe(ticket, limit=100, remaining=70)

    assert 40 <= drain(desk, Lane.BULK) <= 50


def test_a_bucket_holds_no_more_than_its_limit(desk: Desk) -> None:
    """A refill of 25 a second that was unused for two seconds is lost beyond the bucket's 25."""
    ticket = desk.know(25, 24)
    for _ in range(50):
        desk.now += 0.04
        ticket = desk.permit(readings=[desk.reading(ticket, limit=25, remaining=15)]).first_ticket
    desk.observe(ticket, limit=25, remaining=15)
    desk.now += 1.9

    assert 10 <= drain(desk, Lane.BULK) <= 20


@pytest.mark.parametrize(
    ("hints", "seconds"),
    [
        ({"retry_after_s": 7.0, "remaining": 0, "reset_epoch_s": EPOCH + 3}, 7),
        ({"retry_after_s": 2.0, "remaining": 0, "reset_epoch_s": EPOCH + 30}, 30),
        ({"remaining": 0, "reset_epoch_s": EPOCH + 72}, 72),
        ({"retry_after_s": 4.0, "remaining": 20, "reset_epoch_s": EPOCH + 30}, 4),
        ({"remaining": 0, "reset_epoch_s": EPOCH - 5}, 1),
        ({"remaining": 20, "client_quota": ClientQuota(10, 15, 0)}, 15),
        ({}, 1),
    ],
)
@pytest.mark.parametrize("lane", list(Lane))
def test_a_429_blocks_everybody_until_the_hint(desk: Desk, lane: Lane, hints: dict[str, Any], seconds: float) -> None:
    """The longer of Retry-After and Reset; Reset only if that bucket is empty; a second without a hint."""
    ticket = desk.know(50, 30)
    desk.now = 0
    limits = {"limit": 50, **hints} if "remaining" in hints else hints
    desk.observe(ticket, refused=True, **limits)
    wait = desk.wait(lane)

    assert wait.reason is WaitReason.BLOCKED
    assert wait.seconds == pytest.approx(seconds, abs=0.5)


def test_refusals_without_a_hint_wait_twice_as_long_each_time(desk: Desk) -> None:
    """Refusals of requests that were under way together count as one."""
    waits = []
    desk.know(50, 40)
    for _ in range(4):
        for ticket in desk.permit(Lane.INTERACTIVE, want=2).tickets:
            desk.observe(ticket, refused=True, limit=50, remaining=40)
        wait = desk.wait(Lane.INTERACTIVE)
        waits.append(round(wait.seconds))
        desk.now += wait.seconds + 6

    assert waits == [1, 2, 4, 8]


def test_a_success_ends_the_strikes(desk: Desk) -> None:
    """The next refusal is a first one again."""
    for _ in range(3):
        desk.observe(desk.permit(Lane.INTERACTIVE).first_ticket, refused=True)
        desk.now += 20
    desk.observe(desk.permit(Lane.INTERACTIVE).first_ticket, limit=50, remaining=40)
    desk.observe(desk.permit(Lane.INTERACTIVE).first_ticket, refused=True)

    assert round(desk.wait().seconds) == 1


def test_a_policy_of_nothing_blocks_its_client(desk: Desk) -> None:
    """A custom policy with the limit 0 refuses everything; the limiter checks once a minute whether it still applies."""
    ticket = desk.permit().first_ticket
    desk.observe(ticket, limit=100, remaining=99, client_quota=ClientQuota(0, 1, 0))

    assert desk.wait().reason is WaitReason.LEVEL
    desk.now += 61
    assert drain(desk, Lane.INTERACTIVE) == 1


def test_a_policy_that_is_no_longer_told_is_forgotten(desk: Desk) -> None:
    """The header has gone with the policy."""
    ticket = desk.permit().first_ticket
    desk.observe(ticket, limit=100, remaining=99, client_quota=ClientQuota(10, 1, 2))
    bound = desk.limiter.describe(KEY)
    desk.observe(ticket, limit=100, remaining=99)
    free = desk.limiter.describe(KEY)

    assert bound is not None
    assert free is not None
    assert bound.policy is not None
    assert free.policy is None


def test_the_ceiling_of_a_campaign_is_kept_beside_the_quota(desk: Desk) -> None:
    """Ten a second, though the quota has hundreds; another campaign has its own."""
    ticket = desk.know(1000, 999)
    sent = 0
    for _ in range(100):
        desk.now += 0.05
        fresh = desk.reading(ticket, limit=1000, remaining=999)
        sent += isinstance(desk.ask(readings=[fresh], ceiling=Ceiling("one", 10.0)), Permit)

    assert sent == pytest.approx(50, abs=2)
    assert desk.wait(ceiling=Ceiling("one", 0.1)).reason is WaitReason.CEILING
    assert desk.permit(ceiling=Ceiling("two", 10.0)).granted == 1


@pytest.mark.parametrize("lane", list(Lane))
def test_the_highest_rate_of_a_tenant_holds_for_everybody(redis_client: redis.Redis, lane: Lane) -> None:
    """Five a second, whatever the quota."""
    desk = Desk(redis_client, max_rate=5.0)
    ticket = desk.know(1000, 999)
    sent = 0
    for _ in range(200):
        desk.now += 0.05
        fresh = desk.reading(ticket, limit=1000, remaining=999)
        sent += isinstance(desk.ask(lane, readings=[fresh]), Permit)

    assert sent == pytest.approx(50, abs=2)


def test_headers_that_stay_away_lead_to_the_fallback_rate(redis_client: redis.Redis) -> None:
    """Ten answers in a row without headers, and the quota counts as unknown."""
    desk = Desk(redis_client, fallback_rate=2.0)
    ticket = desk.know(1000, 999)
    for _ in range(10):
        desk.observe(ticket)

    assert desk.permit(want=50).granted == 1
    assert desk.wait().reason is WaitReason.BLIND
    state = desk.limiter.describe(KEY)
    assert state is not None
    assert state.blind


def test_the_state_is_shared_and_outlives_its_workers(desk: Desk, redis_client: redis.Redis) -> None:
    """Another process finds the level where the first one left it."""
    desk.know(50, 49)
    drain(desk, Lane.BULK)
    other = Desk(redis_client)
    other.now = desk.now

    assert other.wait().reason is WaitReason.LEVEL


def test_after_a_pause_a_few_requests_look_before_the_rest_follow(desk: Desk) -> None:
    """The bucket has refilled by then, unless others emptied it."""
    desk.know(50, 49)
    desk.now += 3600

    assert drain(desk, Lane.BULK) == 2
    assert desk.wait().reason is WaitReason.COLD


def test_tickets_of_a_lost_state_are_strangers(desk: Desk, redis_client: redis.Redis) -> None:
    """An answer to a request from before Redis lost its memory does not pretend to know the new level."""
    ticket = desk.know(50, 49)
    redis_client.flushall()
    desk.now += 1
    desk.permit()
    desk.observe(ticket, limit=50, remaining=49)
    state = desk.limiter.describe(KEY)

    assert state is not None
    assert state.bucket is None


def test_tenants_and_endpoints_have_quotas_of_their_own(desk: Desk) -> None:
    """Another endpoint of the same tenant starts from nothing."""
    desk.know(50, 49)

    assert desk.limiter.describe(LimiterKey("tenant", "oauth/token")) is None
    assert desk.limiter.describe(LimiterKey("other", "passwordless/start")) is None


def test_a_snapshot_tells_an_operator_what_is_known(desk: Desk) -> None:
    """Limit, level, reserve, block, age."""
    ticket = desk.know(50, 30)
    desk.observe(ticket, refused=True, limit=50, remaining=0, reset_epoch_s=EPOCH + 10)
    desk.now += 1
    state = desk.limiter.describe(KEY)

    assert state is not None
    assert state.bucket is not None
    assert (state.bucket.limit, state.bucket.reserve) == (50, 10)
    assert state.issued == 1
    assert state.blocked_for_s == pytest.approx(9, abs=0.5)
    assert state.reading_age_s == pytest.approx(1)
    assert not state.blind


def test_nothing_is_sent_when_redis_does_not_answer() -> None:
    """Closed, not open: every question ends in the same error."""
    limiter = RedisLimiter(redis.Redis(port=1, retry=Retry(NoBackoff(), 0)), KEYS)
    questions: list[Callable[[], object]] = [
        lambda: limiter.acquire(KEY, Lane.INTERACTIVE),
        lambda: limiter.observe(KEY, [Reading(ticket=1, limits=RateLimits())]),
        lambda: limiter.describe(KEY),
    ]

    for question in questions:
        with pytest.raises(LimiterUnavailable):
            question()
    assert issubclass(LimiterUnavailable, Unavailable)


def test_nothing_is_sent_when_redis_answers_nonsense(desk: Desk, redis_client: redis.Redis) -> None:
    """The key holds something else: an error, not a permit."""
    redis_client.rpush(KEYS.limiter(KEY.tenant, KEY.endpoint), "not ours")

    with pytest.raises(LimiterUnavailable):
        desk.ask()


def test_a_damaged_state_is_a_cold_start(desk: Desk, redis_client: redis.Redis) -> None:
    """A value of another length or version is not read."""
    redis_client.set(KEYS.limiter(KEY.tenant, KEY.endpoint), b"x" * 217)

    assert drain(desk, Lane.BULK) == 2


def test_a_state_of_another_version_is_a_cold_start(desk: Desk, redis_client: redis.Redis) -> None:
    """After an upgrade nothing is read that was written in another form."""
    desk.know(50, 49)
    stored = redis_client.get(KEYS.limiter(KEY.tenant, KEY.endpoint))
    assert isinstance(stored, bytes)
    redis_client.set(KEYS.limiter(KEY.tenant, KEY.endpoint), struct.pack("<d", 3) + stored[8:])

    assert drain(desk, Lane.BULK) == 2


def test_redis_clock_is_the_clock(redis_client: redis.Redis) -> None:
    """Without a clock from the caller, Redis's clock applies."""
    limiter = RedisLimiter(redis_client, KEYS, LimiterSettings(max_rate=20.0))
    granted = limiter.acquire(KEY, Lane.BULK)
    ticket = granted.first_ticket if isinstance(granted, Permit) else 0

    assert ticket / 1e6 == pytest.approx(time.time(), abs=60)


def test_the_core_is_carried_by_a_larger_script(redis_client: redis.Redis) -> None:
    """Another script includes the limiter: it adds readings, takes a permit, and does its own work."""
    script = redis_client.register_script(
        lua_library()
        + """
        local granted, first, wait_us, reason =
          limiter_acquire(KEYS[1], limiter_now_us(), 'bulk', 1, ARGV[1], ARGV[2], KEYS[2], 100)
        redis.call('INCRBY', KEYS[3], granted)
        return { granted, first, wait_us, reason }
        """
    )
    keys = [KEYS.limiter(KEY.tenant, KEY.endpoint), KEYS.ceiling("campaign"), "sent"]
    answers = [script(keys=keys, args=[pack_settings(LimiterSettings()), b""]) for _ in range(3)]

    assert [answer[0] for answer in answers].count(1) >= 1
    assert int(redis_client.get("sent") or 0) == sum(answer[0] for answer in answers)
