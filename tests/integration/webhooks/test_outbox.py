"""Each event is recorded in the step that makes the change, once, and only if an endpoint subscribes to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.errors import Unavailable
from gatepost_core.kinds import Channel
from gatepost_core.states import State
from gatepost_core.webhooks.endpoints import Endpoints
from gatepost_core.webhooks.events import SUBSCRIBABLE, EventType
from gatepost_core.webhooks.script import record
from support.campaign_parts import rows
from support.keys import KEYS
from support.ledger_calls import begin_attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost import Producer
    from gatepost_core.settings import Settings
    from support.campaign_parts import Bench


def subscribed(client: redis.Redis, settings: Settings, *types: EventType) -> str:
    return Endpoints(client, KEYS, settings.keyring()).add("https://example.com/", types or SUBSCRIBABLE, "whsec_AAAA")


def events(client: redis.Redis) -> list[tuple[str, dict[str, Any]]]:
    found: Any = client.xrange(KEYS.webhook_events)
    return [(fields[b"type"].decode(), json.loads(fields[b"data"])) for _, fields in found]


@pytest.fixture
def campaign_bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


def test_the_end_of_an_operation_is_recorded_once(
    producer: Producer, redis_client: redis.Redis, settings: Settings
) -> None:
    """With its state and reason, in the script that ends it; settling again adds nothing."""
    subscribed(redis_client, settings)
    operation_id = producer.send_email("canary-q7x2v9@example.com").operation_id
    begin_attempt(producer.ledger, operation_id, "attempt", 60)
    for _ in range(2):
        producer.ledger.settle(operation_id, "attempt", State.ACCEPTED)
    cancelled = producer.send_email("canary-q7x2v9@example.com")
    cancelled.cancel()

    ended = {"operation_id": operation_id, "kind": "send_email", "state": "accepted"}
    by_caller = {"operation_id": cancelled.operation_id, "kind": "send_email", "state": "cancelled"}
    assert events(redis_client) == [
        ("operation.ended", ended),
        ("operation.ended", {**by_caller, "reason": "cancelled_by_caller"}),
    ]


def test_without_an_endpoint_nothing_is_stored(
    producer: Producer, redis_client: redis.Redis, settings: Settings
) -> None:
    """Nor for a type to which no endpoint subscribes, nor after the last endpoint was removed."""
    endpoint_id = subscribed(redis_client, settings, EventType.CAMPAIGN_FINISHED)
    producer.send_email("ana@example.com").cancel()
    Endpoints(redis_client, KEYS, settings.keyring()).remove(endpoint_id)
    producer.send_email("ana@example.com").cancel()

    record(redis_client, KEYS, EventType.PROBE_FAILED, {"tenant": "default"})

    assert redis_client.keys("gatepost:webhook*") == []


def test_a_user_who_may_not_record_events_changes_nothing(
    producer: Producer, redis_client: redis.Redis, settings: Settings
) -> None:
    """The event comes before the change, so an operation never ends without it."""
    handle = producer.send_email("ana@example.com")
    redis_client.set(KEYS.webhook_types, "not a set")
    with pytest.raises(Unavailable):
        handle.cancel()
    redis_client.delete(KEYS.webhook_types)

    assert handle.state() is State.QUEUED
    assert handle.cancel()


def test_a_campaign_tells_its_thresholds_and_its_end(
    campaign_bench: Bench, redis_client: redis.Redis, settings: Settings
) -> None:
    """The counts of each event add up to the number of recipients."""
    subscribed(redis_client, settings)
    campaign_id = campaign_bench.started(300)
    campaign_bench.work_now()

    told = [(name, data) for name, data in events(redis_client) if name.startswith("campaign")]
    thresholds = [data["percent"] for name, data in told if name == "campaign.threshold_reached"]
    assert thresholds == sorted(set(thresholds))
    assert thresholds[-1] == 75
    assert told[-1][0] == "campaign.finished"
    assert told[-1][1]["status"] == "finished"
    assert told[-1][1]["counts"]["accepted"] == 300
    assert sum(name == "campaign.finished" for name, _ in told) == 1
    assert {data["campaign_id"] for _, data in told} == {campaign_id}
    assert all(sum(data["counts"].values()) == data["total"] == 300 for _, data in told)


def test_failures_are_told_by_their_share(campaign_bench: Bench, redis_client: redis.Redis, settings: Settings) -> None:
    """Once a hundred recipients have an answer, with the highest share that is reached."""
    subscribed(redis_client, settings, EventType.CAMPAIGN_THRESHOLD_REACHED)
    addresses = [f"n{one}{'+bad-email' if one % 4 == 0 else ''}@example.com" for one in range(160)]
    campaign_bench.start([Row(number, Channel.EMAIL, address) for number, address in enumerate(addresses)])
    campaign_bench.work_now()

    failed = [data["percent"] for _, data in events(redis_client) if data["measure"] == "failed"]
    assert failed
    assert failed == sorted(set(failed))
    assert failed[-1] == 25


def test_a_campaign_that_pauses_itself_tells_the_reason(
    campaign_bench: Bench, redis_client: redis.Redis, settings: Settings
) -> None:
    """A pause by an operator is no event."""
    subscribed(redis_client, settings, EventType.CAMPAIGN_PAUSED)
    by_hand = campaign_bench.started(3)
    campaign_bench.campaigns.pause(by_hand)
    paused = campaign_bench.start([Row(1, Channel.EMAIL, "n+invalid-client@example.com"), *rows(3)])
    campaign_bench.work_now()

    ((name, data),) = events(redis_client)
    assert (name, data["campaign_id"], data["reason"], data["cause"]) == (
        "campaign.paused",
        paused,
        "refused",
        campaign_bench.status(paused).pause.cause.value,
    )
    assert sum(data["counts"].values()) == data["total"] == 4


def test_a_cancelled_campaign_tells_its_end(
    campaign_bench: Bench, redis_client: redis.Redis, settings: Settings
) -> None:
    """As `campaign.finished` with the status `cancelled`, when its last recipient has ended."""
    subscribed(redis_client, settings)
    campaign_id = campaign_bench.started(3)
    campaign_bench.campaigns.cancel(campaign_id)
    campaign_bench.sweep.run()

    ((name, data),) = events(redis_client)
    assert (name, data["status"], data["counts"]["cancelled"]) == ("campaign.finished", "cancelled", 3)


def test_a_dead_letter_tells_its_id_and_their_number(redis_client: redis.Redis, settings: Settings) -> None:
    """And nothing of the message."""
    subscribed(redis_client, settings)
    letters = DeadLetters(redis_client, KEYS, settings.keyring())
    first, second = (letters.add({"raw": "canary"}, reason="the canary reason", queue="canary") for _ in range(2))

    assert events(redis_client) == [
        ("dead_letter.arrived", {"dead_letter_id": first, "dead_letters": 1}),
        ("dead_letter.arrived", {"dead_letter_id": second, "dead_letters": 2}),
    ]


def test_events_are_recorded_while_redis_has_no_memory(
    producer: Producer, redis_client: redis.Redis, settings: Settings, fill: Callable[[], None]
) -> None:
    """Work under way ends then, and so its events are recorded too."""
    subscribed(redis_client, settings)
    handle = producer.send_email("ana@example.com")
    fill()
    handle.cancel()

    assert [name for name, _ in events(redis_client)] == ["operation.ended"]
