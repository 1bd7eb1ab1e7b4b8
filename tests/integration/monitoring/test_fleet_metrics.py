"""The metrics of the fleet, from a real Redis."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr

from gatepost import Producer
from gatepost_core.campaigns.model import Options
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.kinds import Channel
from gatepost_core.ledger import ledger_at
from gatepost_core.probe_results import ProbeResult, ProbeResults, Step
from gatepost_core.settings.tenants import Application
from gatepost_core.tenant_registry import TenantRegistry
from gatepost_operations.cli.entry import main
from gatepost_operations.monitoring import names
from gatepost_operations.monitoring.fleet import FleetSource
from gatepost_worker.metrics.counts import MOST_TENANTS
from gatepost_worker.metrics.exposition import registry_of, text_of
from support.campaign_parts import rows
from support.free_ports import free_port
from support.keys import KEYS
from support.ledger_calls import begin_attempt
from support.metrics_text import values_in
from support.redis_roles import create_users, url_of
from support.webhook_bench import WebhookBench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey
    from support.campaign_parts import Bench

OLDEST = 'gatepost_queue_oldest_seconds{{queue="{}"}}'.format


@pytest.fixture
def scrape(settings: Settings) -> Iterator[Callable[[], dict[str, float]]]:
    """Read the fleet's metrics."""
    source = FleetSource(settings)
    yield lambda: values_in(text_of(source))
    source.close()


Scrape = "Callable[[], dict[str, float]]"


def age(client: redis.Redis, operation_id: str, seconds: float) -> None:
    """Let an operation wait since some time ago."""
    key = KEYS.operation(operation_id)
    client.hset(key, "updated", int(client.hget(key, "updated") or 0) - int(seconds * 1000))


def test_the_oldest_work_that_could_be_taken_now_has_an_age(
    scrape: Scrape, producer: Producer, redis_client: redis.Redis
) -> None:
    """A newer one does not hide it, and other queues have none."""
    old = producer.send_email("old@example.com").operation_id
    producer.send_email("new@example.com")
    age(redis_client, old, 90)
    found = scrape()

    assert 90 <= found[OLDEST("send")] < 150
    assert found[OLDEST("login")] == 0
    assert found['gatepost_queue_messages{queue="send"}'] == 2
    assert found['gatepost_operations_open{kind="send_email",state="queued"}'] == 2


def test_parked_work_has_no_age(
    scrape: Scrape, producer: Producer, settings: Settings, redis_client: redis.Redis
) -> None:
    """An operation that waits for its time or a quota could not be taken; after its time it counts since then."""
    parked = producer.send_email("parked@example.com").operation_id
    ledger_at(redis_client, settings).postpone(parked, 60, free=True)
    age(redis_client, parked, 300)
    while_parked = scrape()[OLDEST("send")]
    now_ms = int(time.time() * 1000)
    redis_client.hset(KEYS.operation(parked), "not_before", now_ms - 20_000)

    assert while_parked == 0
    assert 15 <= scrape()[OLDEST("send")] < 80


def test_a_call_under_way_has_no_age(
    scrape: Scrape, producer: Producer, settings: Settings, redis_client: redis.Redis
) -> None:
    """A worker has it."""
    taken = producer.send_email("taken@example.com").operation_id
    begin_attempt(ledger_at(redis_client, settings), taken, "attempt", 60)
    age(redis_client, taken, 300)

    assert scrape()[OLDEST("send")] == 0


def test_a_published_batch_has_an_age_until_a_worker_takes_it(
    scrape: Scrape, bench: Bench, redis_client: redis.Redis
) -> None:
    """Also after it was published again, since its first publication."""
    campaign_id = bench.started(3)
    look_after_ms = 30_000
    redis_client.zadd(KEYS.out(campaign_id), {"0": time.time() * 1000 + look_after_ms - 40_000})
    once = scrape()[OLDEST("bulk")]
    redis_client.hset(KEYS.batch(campaign_id, 0), "published", 2)
    twice = scrape()[OLDEST("bulk")]
    bench.work_now()

    assert 40 <= once < 100
    assert twice - once == pytest.approx(60, abs=30)
    assert scrape()[OLDEST("bulk")] == 0


def test_a_campaign_that_rests_has_no_age_and_is_not_sending(
    scrape: Scrape, bench: Bench, redis_client: redis.Redis
) -> None:
    """It waits for its start."""
    later = datetime.now(UTC) + timedelta(hours=1)
    bench.started(3, start_at=later)
    found = scrape()

    assert found[OLDEST("bulk")] == 0
    assert found["gatepost_campaigns_sending"] == 0
    assert found['gatepost_campaigns{status="running"}'] == 1


def test_campaigns_are_summed_up(scrape: Scrape, bench: Bench, campaigns: Campaigns) -> None:
    """By status, pause and the states of their recipients; a finished campaign has no open recipients."""
    running, paused = bench.started(5), bench.started(7)
    campaigns.pause(paused)
    campaigns.create("a draft", Options())
    found = scrape()
    bench.work_now()
    after = scrape()

    assert running
    assert found['gatepost_campaigns{status="draft"}'] == 1
    assert found['gatepost_campaigns_paused{reason="by_operator"}'] == 1
    assert found['gatepost_campaign_recipients{state="queued"}'] == 12
    assert found["gatepost_campaigns_sending"] == 1
    assert after['gatepost_campaigns{status="finished"}'] == 1
    assert after['gatepost_campaign_recipients{state="queued"}'] == 7
    assert after["gatepost_bulk_workers"] == 1


def test_a_block_and_wrong_counts_are_shown(scrape: Scrape, bench: Bench, redis_client: redis.Redis) -> None:
    """Both are for an operator."""
    campaign_id = bench.started(3)
    redis_client.hset(KEYS.blocked(campaign_id), "0", "1800000000000 damaged It is not there any more.")
    redis_client.hincrby(KEYS.campaign(campaign_id), "queued", 5)
    found = scrape()

    assert found["gatepost_campaigns_blocked"] == 1
    assert found["gatepost_campaigns_inconsistent"] == 1


def test_dead_letters_and_the_reconcilers_lag_are_shown(
    scrape: Scrape, settings: Settings, redis_client: redis.Redis
) -> None:
    """A reconciler that never ran has no lag."""
    before = scrape()
    DeadLetters(redis_client, KEYS, settings.keyring()).add({"raw": "x"}, reason="why", queue="gatepost.send")
    redis_client.set(KEYS.reconciler_last_run, int(time.time() * 1000) - 75_000)
    found = scrape()

    assert "gatepost_reconciler_lag_seconds" not in before
    assert found["gatepost_dead_letters"] == 1
    assert 75 <= found["gatepost_reconciler_lag_seconds"] < 135


def test_webhook_endpoints_and_their_oldest_event_are_shown(
    scrape: Scrape, settings: Settings, redis_client: redis.Redis
) -> None:
    """By state. An event that was offered to an endpoint counts as well as one that no worker has looked at; a disabled endpoint waits for nothing."""
    before = scrape()
    bench = WebhookBench(settings.model_copy(update={"webhook_allow_private": True}))
    works, fails, stopped, gone = (bench.added(f"http://127.0.0.1:{free_port()}/hook")[0] for _ in range(4))
    bench.endpoints.disable(stopped, "operator")
    bench.endpoints.disable(gone, "gone")
    now_ms = int(time.time() * 1000)
    redis_client.xadd(
        KEYS.webhook_events, {"v": 1, "type": "probe.failed", "at": 1, "data": "{}"}, id=f"{now_ms - 5000}-7"
    )
    unread = scrape()
    redis_client.hset(KEYS.webhook(fails), "failing_since", now_ms)
    redis_client.zadd(KEYS.webhook_due(works), {f"{now_ms - 90_000}-0": now_ms})
    redis_client.zadd(KEYS.webhook_due(stopped), {f"{now_ms - 900_000}-0": now_ms})
    found = scrape()
    bench.close()

    assert before["gatepost_webhook_oldest_seconds"] == 0
    assert 5 <= unread["gatepost_webhook_oldest_seconds"] < 60
    assert 90 <= found["gatepost_webhook_oldest_seconds"] < 150
    states = {state: found[f'gatepost_webhook_endpoints{{state="{state}"}}'] for state in names.EndpointState}
    assert states == {"enabled": 1, "failing": 1, "disabled": 1, "switched_off": 1}


def test_the_results_of_the_probe_are_shown(scrape: Scrape, redis_client: redis.Redis) -> None:
    """With the failed step and its reason."""
    TenantRegistry(redis_client, KEYS).register("default", Application("localhost:1", "client"))
    result = ProbeResult(
        ended_at=datetime.now(UTC), reason="message_late", step=Step.ARRIVAL, seconds={Step.SEND: 0.5, Step.ARRIVAL: 60}
    )
    ProbeResults(redis_client, KEYS).store("default", Channel.EMAIL, result)
    found = scrape()
    of = 'channel="email"'

    assert found[f'gatepost_probe_success{{{of},tenant="default"}}'] == 0
    assert found[f'gatepost_probe_failure{{{of},reason="message_late",step="arrival",tenant="default"}}'] == 1
    assert found[f'gatepost_probe_step_seconds{{{of},step="arrival",tenant="default"}}'] == 60


def test_a_probes_result_that_this_version_cannot_read_hides_nothing(scrape: Scrape, redis_client: redis.Redis) -> None:
    """A reason of a later version becomes `unknown`, and a damaged result leaves the other metrics as they are."""
    TenantRegistry(redis_client, KEYS).register("default", Application("localhost:1", "client"))
    later = {"last_run_at": "1777896000000", "reason": "ana@example.com", "step": "orbit"}
    redis_client.hset(KEYS.probe("default", Channel.EMAIL), mapping=later)
    redis_client.hset(KEYS.probe("default", Channel.SMS), mapping={"last_run_at": "soon"})
    found = scrape()

    assert found['gatepost_probe_failure{channel="email",reason="unknown",step="unknown",tenant="default"}'] == 1
    assert not [name for name in found if "probe" in name and "sms" in name]
    assert found["gatepost_redis_up"] == 1


def test_the_memory_of_redis_is_shown_only_with_a_limit(scrape: Scrape, redis_client: redis.Redis) -> None:
    """Without `maxmemory` there is no share."""
    without = scrape()
    redis_client.config_set("maxmemory", 1_000_000_000)
    found = scrape()
    redis_client.config_set("maxmemory", 0)

    assert "gatepost_redis_memory_used_ratio" not in without
    assert 0 < found["gatepost_redis_memory_used_ratio"] < 1


def test_while_redis_is_away_only_that_is_shown(make_settings: Callable[..., Settings]) -> None:
    """The scrape succeeds."""
    source = FleetSource(make_settings(redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    found = values_in(text_of(source))

    assert found == {"gatepost_redis_up": 0, "gatepost_broker_up": 0}


def test_the_number_of_series_does_not_grow_with_work(
    scrape: Scrape, settings: Settings, redis_client: redis.Redis, producer: Producer
) -> None:
    """A thousand campaigns, seventy tenants with probes, and hundreds of operations add no series, and no id is a label."""
    registry, results = TenantRegistry(redis_client, KEYS), ProbeResults(redis_client, KEYS)
    ok = ProbeResult(ended_at=datetime.now(UTC), reason="ok", step=None, seconds=dict.fromkeys(Step, 0.1))
    for number in range(MOST_TENANTS):
        registry.register(f"a{number:02}", Application("localhost:1", "client"))
        results.store(f"a{number:02}", Channel.EMAIL, ok)
    producer.send_email("first@example.com")
    before = scrape()
    with redis_client.pipeline() as pipeline:
        for number in range(1000):
            key = KEYS.campaign(f"campaign-{number}")
            fields: dict[Any, Any] = {"status": "running", "total": 1, "queued": 1, "name": f"name-{number}", "rate": 1}
            pipeline.hset(key, mapping=fields)
            pipeline.zadd(KEYS.campaigns, {key: number})
            pipeline.sadd(KEYS.active_campaigns, key)
        pipeline.execute()
    for number in range(50):
        registry.register(f"tenant-{number}", Application("localhost:1", "client"))
        results.store(f"tenant-{number}", Channel.EMAIL, ok)
    for number in range(200):
        producer.send_email(f"person{number}@example.com")
    found = scrape()

    assert found.keys() == before.keys()
    assert found['gatepost_campaigns{status="running"}'] == 1000
    assert found["gatepost_campaign_rate"] == 1000
    assert not [series for series in found if "campaign-" in series or "name-" in series or "@" in series]


def test_campaigns_beyond_the_bound_are_counted_as_unread(scrape: Scrape, redis_client: redis.Redis) -> None:
    """A scrape stays bounded, and says so."""
    with redis_client.pipeline() as pipeline:
        for number in range(1200):
            pipeline.zadd(KEYS.campaigns, {KEYS.campaign(f"campaign-{number}"): number})
        pipeline.execute()

    assert scrape()["gatepost_campaigns_unread"] == 200


def test_the_user_reader_may_read_everything(
    settings: Settings, valkey: EmbeddedValkey, redis_client: redis.Redis
) -> None:
    """The page about Redis gives it the rights, and only reading commands are sent."""
    redis_client.config_set("maxmemory", 1_000_000_000)
    create_users(redis_client)
    with Producer(settings) as producer:
        producer.send_email("guest@example.com")
        campaign_id = producer.campaigns.create("spring", Options())
        producer.campaigns.add(campaign_id, rows(3))
        producer.campaigns.start(campaign_id)
    reading = settings.model_copy(
        update={"redis_url": SecretStr(url_of("reader", valkey.port)), "sealing_keys": (), "fingerprint_key": None}
    )
    bench = WebhookBench(settings.model_copy(update={"webhook_allow_private": True}))
    bench.added("http://127.0.0.1:1/hook")
    bench.record()
    bench.close()
    redis_client.acl_log_reset()
    found = values_in(generate_latest(registry_of(FleetSource(reading))).decode())
    denied: Any = redis_client.acl_log()
    redis_client.config_set("maxmemory", 0)

    assert denied == []
    assert found["gatepost_redis_up"] == 1
    assert found["gatepost_campaigns_sending"] == 1
    assert "gatepost_webhook_oldest_seconds" in found
    assert "gatepost_redis_memory_used_ratio" in found


def test_the_command_prints_the_metrics_without_a_sealing_key(
    configured: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--once` is for a look by hand."""
    monkeypatch.delenv("GATEPOST_SEALING_KEYS")
    monkeypatch.delenv("GATEPOST_FINGERPRINT_KEY")

    assert main(["metrics", "--once"]) == 0
    assert values_in(capsys.readouterr().out + "\n")["gatepost_redis_up"] == 1


def test_no_label_is_an_id_or_a_person() -> None:
    """Labels come from closed sets, and tenants are bounded."""
    allowed = {"queue", "kind", "state", "status", "reason", "tenant", "channel", "step"}

    assert {label for metric in names.METRICS for label in metric.labels} <= allowed
