"""The queue is a hint: a window of messages, lost ones found again, leases that end, campaigns side by side."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.model import Options, Status
from gatepost_core.campaigns.store import ROWS_PAGE, CampaignStore
from gatepost_core.commands import OnUnknown
from gatepost_core.kinds import Queue
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.bulk.campaign_watch import CampaignWatch
from gatepost_worker.bulk.store import BatchStore, Begun, Claim, Claimed, Full, PermitSource, Settlement, Stopped
from gatepost_worker.limiter import LimiterKey, LimiterSettings
from support.campaign_parts import TEST_CLOCK, Bench, TestClock, email, rows
from support.keys import KEYS

if TYPE_CHECKING:
    import redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_simulator.server import SimulatorServer

SOURCE = PermitSource(key=LimiterKey("default", "passwordless/start"), settings=LimiterSettings(cold_permits=8))


@pytest.fixture
def clock(redis_client: redis.Redis) -> TestClock:
    return TestClock(redis_client)


@pytest.fixture
def store(redis_client: redis.Redis, clock: TestClock) -> CampaignStore:
    return CampaignStore(redis_client, KEYS, republish_after_s=30, clock=TEST_CLOCK)


@pytest.fixture
def batches(redis_client: redis.Redis, clock: TestClock) -> BatchStore:
    return BatchStore(redis_client, KEYS, republish_after_s=30, clock=TEST_CLOCK)


def running(campaigns: Campaigns, store: CampaignStore, count: int, **options: Any) -> str:
    """A campaign that runs under the test's clock."""
    campaign_id = campaigns.create("spring", Options(**options))
    campaigns.add(campaign_id, rows(count))
    store.start(campaign_id, None)
    return campaign_id


def test_only_a_window_of_batches_is_on_the_queue(bench: Bench) -> None:
    """Twelve batches, one message; it names a campaign and a number, and no person."""
    campaign_id = bench.started(3000)
    messages = bench.messages()

    assert bench.status(campaign_id).batches == 12
    assert [(message["campaign_id"], message["batch"]) for message in messages] == [(campaign_id, 0)]
    assert all(b"example.com" not in message["raw"] for message in messages)


def test_a_finished_batch_publishes_the_next(bench: Bench) -> None:
    """The window stays full until the campaign runs out of batches."""
    campaign_id = bench.started(3000)
    message = bench.take()
    assert message is not None
    bench.runner.run(campaign_id, message["batch"])

    assert 1 in [message["batch"] for message in bench.messages()]


def test_a_lost_message_is_published_again(campaigns: Campaigns, store: CampaignStore, clock: TestClock) -> None:
    """After the time a message may lie, and then after twice that: a long queue is not filled with copies."""
    campaign_id = running(campaigns, store, 20)
    first = store.feed(campaign_id)
    clock.advance(29)
    early = store.sweep(campaign_id)[1], store.feed(campaign_id)
    clock.advance(2)
    store.sweep(campaign_id)
    second = store.feed(campaign_id)
    clock.advance(31)
    store.sweep(campaign_id)
    third_early = store.feed(campaign_id)
    clock.advance(30)
    store.sweep(campaign_id)

    assert first == second == store.feed(campaign_id) == [(0, 0.0)]
    assert early == (0, [])
    assert third_early == []


def test_an_expired_lease_makes_what_was_in_flight_unknown(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore, clock: TestClock
) -> None:
    """A worker was killed in the middle: its begun rows are unknown, and the rest of the batch continues."""
    campaign_id = running(campaigns, store, 20)
    store.feed(campaign_id)
    claim = Claim(campaign_id, 0, "killed")
    assert isinstance(batches.claim(claim, 10), Claimed)
    begun = batches.step(claim, 1, 10, source=SOURCE, want=3)
    assert isinstance(begun, Begun)
    clock.advance(11)
    lost = store.sweep(campaign_id)[2]
    late = [Settlement(row, State.ACCEPTED, attempts=1) for row in begun.rows]
    batches.step(claim, 2, 10, source=SOURCE, settlements=late)
    campaign = campaigns.status(campaign_id)

    assert lost == 3
    assert campaign.reasons == {(State.UNKNOWN, Reason.WORKER_LOST): 3}
    assert (campaign.counts[State.QUEUED], campaign.counts[State.ACCEPTED]) == (17, 0)
    assert store.feed(campaign_id) == [(0, 0.0)]


def test_a_row_that_kills_its_workers_is_not_begun_for_ever(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore, clock: TestClock
) -> None:
    """With `on_unknown=resend` it is begun again as often as attempts allow, and then it is unknown."""
    campaign_id = running(campaigns, store, 1, on_unknown=OnUnknown.RESEND)
    most = int(store.record(campaign_id)["max_attempts"])
    begun = 0
    for number in range(most + 1):
        store.feed(campaign_id)
        claim = Claim(campaign_id, 0, f"killed {number}")
        if isinstance(batches.claim(claim, 10), Claimed):
            begun += isinstance(batches.step(claim, 1, 10, source=SOURCE, want=1), Begun)
        clock.advance(100)
        store.sweep(campaign_id)
    campaign = campaigns.status(campaign_id)

    assert begun == most
    assert campaign.reasons == {(State.UNKNOWN, Reason.WORKER_LOST): 1}


def test_a_step_that_comes_twice_changes_nothing_the_second_time(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore
) -> None:
    """The connection repeats a call whose reply was lost; the answer is the same, and no further row is begun."""
    campaign_id = running(campaigns, store, 20)
    store.feed(campaign_id)
    claim = Claim(campaign_id, 0, "worker")
    batches.claim(claim, 10)
    first, second = (batches.step(claim, 1, 10, source=SOURCE, want=2) for _ in range(2))

    assert isinstance(first, Begun)
    assert first == second
    assert campaigns.status(campaign_id).counts[State.IN_FLIGHT] == 2


def test_no_more_rows_are_begun_than_there_are_permits(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore
) -> None:
    """Of an unknown quota eight requests find out; the other rows stay queued."""
    campaign_id = running(campaigns, store, 20)
    store.feed(campaign_id)
    claim = Claim(campaign_id, 0, "worker")
    batches.claim(claim, 10)

    begun = batches.step(claim, 1, 10, source=SOURCE, want=20)

    assert isinstance(begun, Begun)
    assert len(begun.rows) == 8
    assert campaigns.status(campaign_id).counts[State.QUEUED] == 12


def test_at_the_deadline_itself_nothing_is_begun(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore, clock: TestClock
) -> None:
    """No batch is published either; the sweep ends open rows as expired."""
    deadline = datetime.fromtimestamp(clock.ms / 1000 + 100, UTC)
    campaign_id = running(campaigns, store, 300, deadline=deadline)
    store.feed(campaign_id)
    claim = Claim(campaign_id, 0, "worker")
    batches.claim(claim, 200)
    clock.advance(99.999)
    before = batches.step(claim, 1, 200, source=SOURCE, want=1)
    clock.advance(0.001)
    at = batches.step(claim, 2, 200, source=SOURCE, want=1)
    late = batches.claim(Claim(campaign_id, 1, "another"), 200)

    assert isinstance(before, Begun)
    assert not isinstance(at, Begun)
    assert not isinstance(late, Claimed)
    assert store.feed(campaign_id) == []
    assert store.sweep(campaign_id)[3]
    assert store.close(campaign_id) == 299


def test_a_batch_given_back_waits_and_is_published_with_its_delay(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore, clock: TestClock
) -> None:
    """Up to a minute ahead the message carries the delay; a longer wait is published when it is over."""
    campaign_id = running(campaigns, store, 20)
    store.feed(campaign_id)
    claim = Claim(campaign_id, 0, "worker")
    batches.claim(claim, 10)
    soon = batches.release(claim, wait_s=20)
    clock.advance(20)
    claim = Claim(campaign_id, 0, "another")
    batches.claim(claim, 10)
    later = batches.release(claim, wait_s=100)
    clock.advance(50)

    assert soon == [(0, 20.0)]
    assert later == []
    assert store.feed(campaign_id) == [(0, 50.0)]


def test_a_batch_given_back_is_not_taken_before_its_time(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore, clock: TestClock
) -> None:
    """A worker with an old message finds that it is too early."""
    campaign_id = running(campaigns, store, 20)
    store.feed(campaign_id)
    claim = Claim(campaign_id, 0, "worker")
    batches.claim(claim, 10)
    batches.release(claim, wait_s=100)

    early = batches.claim(Claim(campaign_id, 0, "another"), 10)
    clock.advance(101)
    in_time = batches.claim(Claim(campaign_id, 0, "another"), 10)

    assert not isinstance(early, Claimed)
    assert isinstance(in_time, Claimed)


@pytest.mark.parametrize("state", [State.QUEUED, State.DEFERRED])
def test_a_campaign_with_a_row_that_waits_is_not_finished(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore, clock: TestClock, state: State
) -> None:
    """Its last recipient will be sent to later."""
    campaign_id = running(campaigns, store, 1)
    store.feed(campaign_id)
    claim = Claim(campaign_id, 0, "worker")
    batches.claim(claim, 10)
    batches.step(claim, 1, 10, source=SOURCE, want=1)
    batches.step(claim, 2, 10, source=SOURCE, settlements=[Settlement(0, state)], want=0)
    batches.release(claim, wait_s=20)

    store.sweep(campaign_id)

    assert campaigns.status(campaign_id).status is Status.RUNNING


def test_a_rest_holds_for_the_whole_campaign(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore, clock: TestClock
) -> None:
    """While the quota is used up, no other batch is tried in vain."""
    campaign_id = running(campaigns, store, 600)
    assert len(store.feed(campaign_id)) == 1
    claim = Claim(campaign_id, 0, "worker")
    batches.claim(claim, 10)
    picked = batches.release(claim, wait_s=90, rest_s=90)
    campaign = campaigns.status(campaign_id)
    clock.advance(91)

    assert picked == []
    assert campaign.rests_until is not None
    assert store.feed(campaign_id) == [(0, 0.0)]


def test_two_campaigns_share_the_queue(bench: Bench) -> None:
    """Neither fills it: their messages alternate, and a small campaign ends while a large one continues."""
    large = bench.started(5000)
    small = bench.start(rows(100, 10_000))
    queued = {message["campaign_id"] for message in bench.messages()}
    for _ in range(12):
        message = bench.take()
        assert message is not None
        bench.runner.run(message["campaign_id"], message["batch"])

    assert queued == {large, small}
    assert bench.status(small).status is Status.FINISHED
    assert bench.status(large).status is Status.RUNNING


def test_nothing_is_begun_while_redis_is_full_and_what_was_begun_is_settled(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore, redis_client: redis.Redis
) -> None:
    """Memory is used up between two steps."""
    campaign_id = running(campaigns, store, 20)
    store.feed(campaign_id)
    claim = Claim(campaign_id, 0, "worker")
    batches.claim(claim, 10)
    begun = batches.step(claim, 1, 10, source=SOURCE, want=3)
    assert isinstance(begun, Begun)
    settled = [Settlement(row, State.ACCEPTED, attempts=1) for row in begun.rows]
    redis_client.config_set("maxmemory", 1)
    try:
        full = batches.step(claim, 2, 10, source=SOURCE, settlements=settled, want=3)
        store.pause(campaign_id)
        picked = batches.release(claim)
        status = campaigns.status(campaign_id)
    finally:
        redis_client.config_set("maxmemory", 0)

    assert isinstance(full, Full)
    assert picked == []
    assert (status.status, status.counts[State.ACCEPTED], status.counts[State.IN_FLIGHT]) == (Status.PAUSED, 3, 0)


def test_rows_that_a_step_began_before_memory_was_full_are_sent(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore, redis_client: redis.Redis
) -> None:
    """The first reply was lost, and the repeated step finds Redis full: the rows would otherwise end as unknown."""
    campaign_id = running(campaigns, store, 3)
    store.feed(campaign_id)
    claim = Claim(campaign_id, 0, "worker")
    batches.claim(claim, 10)
    lost = batches.step(claim, 1, 10, source=SOURCE, want=3)
    redis_client.config_set("maxmemory", 1)
    try:
        repeated = batches.step(claim, 1, 10, source=SOURCE, want=3)
    finally:
        redis_client.config_set("maxmemory", 0)

    assert isinstance(lost, Begun)
    assert repeated == lost


def test_a_late_step_after_a_cancel_settles_and_begins_nothing(
    campaigns: Campaigns, store: CampaignStore, batches: BatchStore
) -> None:
    """Rows begun before the cancel have their answers recorded; rows that wait for another attempt are cancelled."""
    campaign_id = running(campaigns, store, 20)
    store.feed(campaign_id)
    claim = Claim(campaign_id, 0, "worker")
    batches.claim(claim, 10)
    begun = batches.step(claim, 1, 10, source=SOURCE, want=2)
    assert isinstance(begun, Begun)
    store.cancel(campaign_id)
    store.close(campaign_id)
    first, second = begun.rows
    settlements = [Settlement(first, State.ACCEPTED, attempts=1), Settlement(second, State.DEFERRED)]
    step = batches.step(claim, 2, 10, source=SOURCE, settlements=settlements, want=2)
    batches.release(claim)
    campaign = campaigns.status(campaign_id)

    assert isinstance(step, Stopped)
    assert campaign.status is Status.CANCELLED
    assert (campaign.counts[State.ACCEPTED], campaign.counts[State.CANCELLED]) == (1, 19)


def test_the_sweep_finds_what_a_dead_worker_left(bench: Bench, simulator: SimulatorServer) -> None:
    """All messages are lost; the reconciler alone brings the campaign to its end."""
    campaign_id = bench.started(100)
    bench.redis.delete(KEYS.queue(Queue.BULK))
    record = KEYS.campaign(campaign_id)
    out: list[Any] = bench.redis.zrange(f"{record}:out", 0, -1)
    bench.redis.zadd(f"{record}:out", dict.fromkeys(out, 0))
    bench.sweep.run()
    bench.work()

    assert bench.status(campaign_id).status is Status.FINISHED
    assert simulator.control.count(email(0)) == 1


def test_many_lost_batches_are_found_a_page_at_a_time(bench: Bench) -> None:
    """All workers were killed: the reconciler finds every batch, and holds Redis for a page of them at a time."""
    campaign_id = bench.started(6000)
    record = KEYS.campaign(campaign_id)
    batches = bench.status(campaign_id).batches
    bench.redis.hset(record, "next", batches)
    bench.redis.zadd(f"{record}:out", dict.fromkeys(map(str, range(batches)), 0))
    looked_at = bench.campaigns.store.sweep(campaign_id)[1]
    bench.sweep.run()
    lost: Any = bench.redis.zcount(f"{record}:out", 0, 0)
    found: Any = bench.redis.zcard(f"{record}:out"), bench.redis.zcard(f"{record}:waiting")

    assert looked_at <= 20 < batches
    assert (lost, sum(found)) == (0, batches)


def test_no_call_looks_at_the_rows_of_many_batches(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """Redis serves no other client while a script runs, so retries and cancellations of many rows take many short calls."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(9000))
    campaigns.start(campaign_id)
    batches = campaigns.status(campaign_id).batches
    calls = []
    for act in (
        lambda: campaigns.cancel(campaign_id).counts[State.CANCELLED],
        lambda: campaigns.retry(campaign_id, [State.CANCELLED]).matched,
    ):
        redis_client.config_resetstat()
        assert act() == 9000
        calls.append(redis_client.info("commandstats")["cmdstat_evalsha"]["calls"])

    assert batches > 4 * ROWS_PAGE
    assert min(calls) >= batches / ROWS_PAGE
    assert ROWS_PAGE <= 8


def test_a_message_is_small_and_says_nothing(bench: Bench) -> None:
    """Its headers show neither arguments nor people."""
    bench.started(5)
    headers = json.loads(bench.messages()[0]["raw"])["headers"]

    assert headers["argsrepr"] == headers["kwargsrepr"] == "(sealed)"
    assert headers["task"] == "gatepost.send_batch"
    assert len(bench.messages()[0]["raw"]) < 1500


def test_a_silent_workers_batches_are_replaced_by_a_process_without_batches(bench: Bench) -> None:
    """It looks at the campaigns by itself, and finds nothing to replace as long as the worker makes its steps."""
    campaign_id = bench.started(3000)
    assert bench.take() is not None
    assert isinstance(bench.store.claim(Claim(campaign_id, 0, "killed"), 60), Claimed)
    watch = CampaignWatch(bench.redis, KEYS, bench.campaigns.store, bench.runner.publisher)
    while_it_steps = watch.replace_silent()
    bench.redis.zadd(KEYS.held(campaign_id), {"0": 1})
    afterwards = watch.replace_silent()

    assert (while_it_steps, afterwards) == (0, 1)
    assert [message["batch"] for message in bench.messages()] == [1]
