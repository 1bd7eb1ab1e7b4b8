"""Every event reaches every endpoint that subscribes to it at least once, with one `webhook-id`, and none is lost unsaid."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost_core.webhooks.endpoints import TooManyEndpoints
from gatepost_core.webhooks.events import EventType
from gatepost_worker.webhooks.policy import SCHEDULE
from support.campaign_parts import TEST_CLOCK, TestClock
from support.keys import KEYS
from support.webhook_bench import RETENTION_S, WebhookBench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost_core.settings import Settings
    from support.webhook_receiver import WebhookReceiver


@pytest.fixture
def clock(redis_client: redis.Redis) -> TestClock:
    return TestClock(redis_client)


@pytest.fixture
def timed(make_settings: Callable[..., Settings], clock: TestClock) -> Iterator[WebhookBench]:
    """A bench whose times are those of the clock."""
    made = WebhookBench(make_settings(webhook_allow_private=True), clock=TEST_CLOCK)
    yield made
    made.close()


def failing(number: int, status: int = 500) -> list[tuple[int, dict[str, str]]]:
    return [(status, {})] * number


def test_an_event_arrives_signed_with_its_type_time_and_data(bench: WebhookBench, receiver: WebhookReceiver) -> None:
    """In the form of Standard Webhooks, which the receiver checks with the library."""
    endpoint_id, secret = bench.added(receiver.url)
    bench.record()
    bench.deliver(endpoint_id)

    (got,) = receiver.received
    assert got.is_signed_with(secret)
    assert got.path == "/hook"
    assert got.headers["content-type"] == "application/json"
    assert got.document["type"] == "probe.failed"
    assert got.document["data"] == {"tenant": "tenant-0", "channel": "email", "step": "login", "reason": "timeout"}
    assert datetime.fromisoformat(got.document["timestamp"]).tzinfo is not None
    assert got.webhook_id.startswith("evt_")
    assert "." not in got.webhook_id
    assert bench.control.endpoints.list()[0].delivered == 1


def test_an_event_goes_to_each_endpoint_that_subscribes(bench: WebhookBench, receiver: WebhookReceiver) -> None:
    """From the time when it was added, and to no other."""
    bench.record()
    first, _ = bench.added(receiver.url, [EventType.PROBE_FAILED])
    other, _ = bench.added(receiver.url + "/other", [EventType.CAMPAIGN_FINISHED])
    bench.record()
    second, _ = bench.added(receiver.url, [EventType.PROBE_FAILED])
    bench.record()
    for endpoint_id in (first, other, second):
        bench.deliver(endpoint_id)

    ids = [got.webhook_id for got in receiver.received]
    assert len(ids) == 3
    assert ids[1] == ids[2]
    assert {got.path for got in receiver.received} == {"/hook"}


def test_attempts_are_counted_by_result(timed: WebhookBench, clock: TestClock, receiver: WebhookReceiver) -> None:
    """The last attempt of an event that is given up is no ordinary failure."""
    endpoint_id, _ = timed.added(receiver.url)
    timed.record(2)
    receiver.answers = failing(1)
    timed.deliver(endpoint_id)
    clock.advance(120)
    timed.deliver(endpoint_id)

    assert timed.counted == {"failed": 1, "delivered": 2}


def test_a_failed_event_is_repeated_with_the_same_id(
    timed: WebhookBench, clock: TestClock, receiver: WebhookReceiver
) -> None:
    """After 5 s, and with a new signature."""
    endpoint_id, secret = timed.added(receiver.url)
    timed.record()
    receiver.answers = failing(2)
    timed.deliver(endpoint_id)
    timed.deliver(endpoint_id)
    assert len(receiver.received) == 1
    for seconds in (6, 400):
        clock.advance(seconds)
        timed.deliver(endpoint_id)

    assert len(receiver.received) == 3
    assert len({got.webhook_id for got in receiver.received}) == 1
    assert len({got.body for got in receiver.received}) == 1
    assert all(got.is_signed_with(secret) for got in receiver.received)
    assert timed.control.endpoints.list()[0].failing_since is None


def test_a_crash_between_post_and_mark_repeats_the_event_with_the_same_id(
    timed: WebhookBench, clock: TestClock, receiver: WebhookReceiver
) -> None:
    """After the lease of the lost attempt, so that the receiver can drop the repetition by its id."""
    endpoint_id, _ = timed.added(receiver.url)
    timed.record()
    lost = timed.deliveries.take(endpoint_id)
    timed.deliver(endpoint_id)
    before_the_lease_ended = list(receiver.received)
    clock.advance(61)
    timed.deliver(endpoint_id)

    assert lost is not None
    assert before_the_lease_ended == []
    assert [got.webhook_id for got in receiver.received] == [lost.webhook_id]


def test_an_event_is_given_up_after_the_last_attempt_and_can_be_replayed(
    timed: WebhookBench, clock: TestClock, receiver: WebhookReceiver
) -> None:
    """Other events succeed meanwhile, so the endpoint stays enabled."""
    endpoint_id, _ = timed.added(receiver.url)
    timed.record()
    started = clock.ms
    for at in SCHEDULE:
        receiver.answers = failing(1)
        clock.advance(max(0.0, started / 1000 + at.total_seconds() * 1.1 + 1 - clock.ms / 1000))
        timed.deliver(endpoint_id)
        timed.record()
        receiver.answers = []
        timed.deliver(endpoint_id)
    given_up = timed.control.endpoints.list()[0]
    failed_id = receiver.received[0].webhook_id
    attempts = sum(got.webhook_id == failed_id for got in receiver.received)
    number = timed.deliveries.replay(endpoint_id, datetime.fromtimestamp(0, UTC), datetime.now(UTC) + timedelta(days=1))
    timed.deliver(endpoint_id)

    assert attempts == len(SCHEDULE)
    assert (given_up.given_up, given_up.enabled) == (1, True)
    assert number == len(timed.events())
    assert [got.webhook_id for got in receiver.received].count(failed_id) == len(SCHEDULE) + 1


def test_an_endpoint_that_fails_for_a_day_is_disabled_and_keeps_its_events(
    timed: WebhookBench, clock: TestClock, receiver: WebhookReceiver
) -> None:
    """With an entry in the audit log; enabled again, it gets everything that waited."""
    endpoint_id, _ = timed.added(receiver.url)
    timed.record(3)
    receiver.answers = failing(1000)
    for _ in range(30):
        timed.deliver(endpoint_id)
        clock.advance(3601)
    disabled = timed.control.find(endpoint_id)
    tried = len(receiver.received)
    timed.deliver(endpoint_id)
    assert len(receiver.received) == tried
    timed.record(2)
    receiver.answers, receiver.received = [], []
    timed.endpoints.enable(endpoint_id)
    timed.deliver(endpoint_id)

    assert (disabled.enabled, disabled.disabled_reason) == (False, "failing")
    assert ("webhook.disable", {"endpoint": endpoint_id, "reason": "failing"}) in [
        (entry.action, entry.about) for entry in timed.audit.entries()
    ]
    assert len({got.webhook_id for got in receiver.received}) == 5


def test_410_disables_at_once(bench: WebhookBench, receiver: WebhookReceiver) -> None:
    """The receiver does not want it any more."""
    endpoint_id, _ = bench.added(receiver.url)
    bench.record(2)
    receiver.answers = failing(2, 410)
    bench.deliver(endpoint_id)

    assert len(receiver.received) == 1
    assert bench.control.find(endpoint_id).disabled_reason == "gone"


def test_retry_after_delays_all_events_of_an_endpoint(
    timed: WebhookBench, clock: TestClock, receiver: WebhookReceiver
) -> None:
    """And of no other endpoint."""
    endpoint_id, _ = timed.added(receiver.url)
    timed.record(3)
    receiver.answers = [(429, {"Retry-After": "120"})]
    timed.deliver(endpoint_id)
    clock.advance(119)
    timed.deliver(endpoint_id)
    before = len(receiver.received)
    clock.advance(2)
    timed.deliver(endpoint_id)

    assert before == 1
    assert len(receiver.received) == 4


def test_a_dead_endpoint_gets_few_requests(timed: WebhookBench, clock: TestClock, receiver: WebhookReceiver) -> None:
    """However many events wait: pauses grow to ten minutes."""
    endpoint_id, _ = timed.added(receiver.url)
    timed.record(200)
    receiver.answers = failing(1000)
    for _ in range(360):
        timed.deliver(endpoint_id)
        clock.advance(10)

    assert len(receiver.received) < 40


def test_a_plan_names_an_endpoint_once_until_its_message_was_worked_on(
    timed: WebhookBench, clock: TestClock, receiver: WebhookReceiver
) -> None:
    """A message that was lost is published again after two minutes; a disabled endpoint needs none."""
    endpoint_id, _ = timed.added(receiver.url)
    empty = timed.deliveries.plan(RETENTION_S).queue
    timed.record()
    plans = [timed.deliveries.plan(RETENTION_S).queue for _ in range(2)]
    clock.advance(121)
    again = timed.deliveries.plan(RETENTION_S).queue
    timed.deliver(endpoint_id)
    done = timed.deliveries.plan(RETENTION_S).queue
    timed.record()
    timed.control.disable(endpoint_id)

    assert (empty, plans, again, done) == ([], [[endpoint_id], []], [endpoint_id], [])
    assert timed.deliveries.plan(RETENTION_S).queue == []


def test_a_run_tells_when_the_next_message_is_needed(bench: WebhookBench, receiver: WebhookReceiver) -> None:
    """Five seconds after a first failure, and never for an hour."""
    endpoint_id, _ = bench.added(receiver.url)
    nothing = bench.deliver(endpoint_id)
    bench.record()
    receiver.answers = failing(1)
    soon = bench.deliver(endpoint_id)

    assert nothing is None
    assert soon is not None
    assert 3000 < soon <= 5500


def test_events_that_are_dropped_before_their_delivery_are_counted(
    bench: WebhookBench, redis_client: redis.Redis, receiver: WebhookReceiver
) -> None:
    """By age or by number: once each, in the plan and at the endpoint."""
    endpoint_id, _ = bench.added(receiver.url)
    bench.record(5)
    bench.deliver(endpoint_id)
    bench.record(7)
    redis_client.xtrim(KEYS.webhook_events, maxlen=3, approximate=False)
    lost = [bench.deliveries.plan(RETENTION_S).lost for _ in range(2)]
    bench.deliver(endpoint_id)

    assert lost == [{endpoint_id: 4}, {}]
    assert bench.control.find(endpoint_id).lost == 4
    assert len(receiver.received) == 8


def test_a_dropped_event_that_failed_before_is_counted(
    timed: WebhookBench, clock: TestClock, redis_client: redis.Redis, receiver: WebhookReceiver
) -> None:
    """And leaves nothing behind."""
    endpoint_id, _ = timed.added(receiver.url)
    timed.record()
    receiver.answers = failing(1)
    timed.deliver(endpoint_id)
    redis_client.xtrim(KEYS.webhook_events, maxlen=0, approximate=False)
    clock.advance(10)
    timed.deliver(endpoint_id)

    assert timed.control.find(endpoint_id).lost == 1
    assert not redis_client.exists(KEYS.webhook_due(endpoint_id), KEYS.webhook_attempts(endpoint_id))


def test_the_outbox_is_bounded_by_number_and_age(bench: WebhookBench, redis_client: redis.Redis) -> None:
    """About a hundred thousand events; older ones than the retention are dropped by the plan."""
    bench.added("https://example.com/")
    data = {"v": "1", "type": "probe.failed", "at": "0", "data": "{}"}
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(100_500):
            pipeline.xadd(KEYS.webhook_events, data, id=f"{number + 1}-0")  # type: ignore[arg-type] # redis-py's types of fields
        pipeline.execute()
    bench.record()
    by_number = redis_client.xlen(KEYS.webhook_events)
    bench.deliveries.plan(RETENTION_S)

    assert 100_000 <= by_number <= 100_200
    assert redis_client.xlen(KEYS.webhook_events) == 1


def test_a_replay_takes_a_range_and_no_event_that_still_waits(bench: WebhookBench, receiver: WebhookReceiver) -> None:
    """With the same ids; a dry run only counts."""
    endpoint_id, _ = bench.added(receiver.url)
    other, _ = bench.added(receiver.url, [EventType.CAMPAIGN_FINISHED])
    bench.record(3)
    bench.deliver(endpoint_id)
    middle = bench.deliveries.backlog()
    bench.record(2)
    since, until = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    counted = bench.control.replay(endpoint_id[:8], since, until, dry_run=True)
    number = bench.control.replay(endpoint_id, since, until)
    nothing = bench.control.replay(other, since, until)
    early = bench.control.replay(endpoint_id, since - timedelta(days=1), since)
    bench.deliver(endpoint_id)

    assert middle[endpoint_id].waiting == 0
    assert (counted, number, nothing, early) == (3, 3, 0, 0)
    ids = [got.webhook_id for got in receiver.received]
    assert len(ids) == 8
    assert sorted(ids[:3]) == sorted(one for one in set(ids) if ids.count(one) == 2)


def test_rotated_secrets_sign_together_during_the_overlap(bench: WebhookBench, receiver: WebhookReceiver) -> None:
    """The receiver may change its secret at any time in it; afterwards only the new one signs."""
    endpoint_id, first = bench.added(receiver.url)
    second = bench.control.rotate(endpoint_id, timedelta(hours=1))[1]
    bench.record()
    bench.deliver(endpoint_id)
    both = receiver.received[-1]
    third = bench.control.rotate(endpoint_id, timedelta(0))[1]
    bench.record()
    bench.deliver(endpoint_id)
    last = receiver.received[-1]

    assert both.is_signed_with(first)
    assert both.is_signed_with(second)
    assert len(both.headers["webhook-signature"].split()) == 2
    assert last.is_signed_with(third)
    assert last.is_signed_with(first)
    assert len(last.headers["webhook-signature"].split()) == 2


def test_an_event_of_a_newer_version_waits_for_a_newer_worker(
    timed: WebhookBench, clock: TestClock, redis_client: redis.Redis, receiver: WebhookReceiver
) -> None:
    """It is neither sent in a wrong form nor dropped."""
    endpoint_id, _ = timed.added(receiver.url)
    timed.record()
    ((event, fields),) = redis_client.xrange(KEYS.webhook_events)
    redis_client.xadd(KEYS.webhook_events, {**fields, b"v": b"2"})
    redis_client.xdel(KEYS.webhook_events, event)
    timed.deliver(endpoint_id)
    clock.advance(400)
    timed.deliver(endpoint_id)

    assert receiver.received == []
    assert timed.deliveries.backlog()[endpoint_id].waiting == 1


def test_slow_endpoints_leave_slots_free(bench: WebhookBench, receiver: WebhookReceiver) -> None:
    """A run beyond the share of the slots returns at once, and asks for a later message."""
    ids = [bench.added(receiver.url)[0] for _ in range(3)]
    bench.record()
    answered = threading.Event()
    receiver.on_request = lambda _: answered.wait(60)
    slow = [threading.Thread(target=bench.deliver, args=(endpoint_id,)) for endpoint_id in ids[:2]]
    for thread in slow:
        thread.start()
    receiver.wait_for(2)
    wait = bench.deliver(ids[2])
    before = len(receiver.received)
    answered.set()
    for thread in slow:
        thread.join()

    assert (wait, before) == (5000, 2)


def test_a_worker_that_ends_begins_no_further_delivery(bench: WebhookBench, receiver: WebhookReceiver) -> None:
    """The rest waits for another worker."""
    endpoint_id, _ = bench.added(receiver.url)
    bench.record(3)
    receiver.on_request = lambda _: setattr(bench, "stopping", True)
    bench.deliver(endpoint_id)

    assert len(receiver.received) == 1
    assert bench.deliveries.backlog()[endpoint_id].waiting == 2


def test_no_more_than_twenty_endpoints_can_be_added(bench: WebhookBench) -> None:
    """Each event costs work for each of them."""
    for number in range(20):
        bench.added(f"https://example.com/{number}")

    with pytest.raises(TooManyEndpoints, match="20 webhook endpoints"):
        bench.added("https://example.com/21")
