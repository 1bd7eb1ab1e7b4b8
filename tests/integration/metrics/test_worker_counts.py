"""A worker's work is in its metrics: of single operations, of campaigns and of the reconciler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost import Producer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from gatepost_worker.process import Process
from gatepost_worker.upkeep.reconciler import Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from gatepost_core.settings import Settings
    from gatepost_simulator.server import SimulatorServer
    from gatepost_worker.metrics.counts import WorkerMetrics
    from support.campaign_parts import Bench


def counted(metrics: WorkerMetrics) -> dict[tuple[str, ...], float]:
    return {(sample.metric.name, *sample.labels): sample.value for sample in metrics.samples() if sample.value}


@pytest.fixture
def metrics(bench: Bench) -> WorkerMetrics:
    return bench.runner.metrics


def test_a_campaigns_rows_and_answers_are_counted(bench: Bench, metrics: WorkerMetrics) -> None:
    """Each row is one attempt, with one answer whose latency is known."""
    bench.started(300)
    bench.work()
    (latency,) = metrics.histograms()

    assert counted(metrics)["gatepost_attempts_total", "send_email", "accepted", ""] == 300
    assert latency.labels == ("default", "passwordless/start")
    assert sum(latency.in_buckets) == 300


def test_a_refused_row_has_its_reason(bench: Bench, simulator: SimulatorServer, metrics: WorkerMetrics) -> None:
    """And the successes beside it have none."""
    simulator.control.script_fault(status=400, error="bad.email", count=1)
    bench.started(5, pause_after_errors=None)
    bench.work()
    found = counted(metrics)
    refused = {labels: number for labels, number in found.items() if labels[:1] == ("gatepost_attempts_total",)}

    assert sum(refused.values()) == 5
    assert any(outcome == "rejected" and reason for _, _, outcome, reason in refused)


def test_suppressed_recipients_are_counted(bench: Bench, metrics: WorkerMetrics) -> None:
    """They get no attempt."""
    bench.campaigns.suppressions.add("person1@example.com")
    bench.started(3)
    bench.work()
    found = counted(metrics)

    assert found["gatepost_suppressed_total",] == 1
    assert found["gatepost_attempts_total", "send_email", "accepted", ""] == 2


def test_a_single_send_is_counted_with_its_latency(
    make_settings: Callable[..., Settings], simulator: SimulatorServer
) -> None:
    """As a campaign's row is."""
    process = process_for(make_settings, simulator)
    with Producer(process.settings) as producer:
        operation_id = producer.send_email("guest@example.com").operation_id
    process.runner.run(operation_id)
    (latency,) = process.metrics.histograms()
    process.close()

    assert counted(process.metrics)["gatepost_attempts_total", "send_email", "accepted", ""] == 1
    assert sum(latency.in_buckets) == 1


def test_a_429_is_counted_and_the_next_send_waits(
    make_settings: Callable[..., Settings], simulator: SimulatorServer
) -> None:
    """The refusal is a deferral, and the limiter's block is a wait of the interactive lane."""
    process = process_for(make_settings, simulator)
    simulator.control.script_fault(status=429, error="too_many_requests", headers={"Retry-After": "30"}, count=1)
    with Producer(process.settings) as producer:
        ids = [producer.send_email(f"guest{number}@example.com").operation_id for number in range(2)]
    for operation_id in ids:
        process.runner.run(operation_id)
    found = counted(process.metrics)
    process.close()

    assert found["gatepost_throttled_total", "default", "passwordless/start"] == 1
    assert found["gatepost_attempts_total", "send_email", "deferred", "rate_limited"] == 1
    assert found["gatepost_limiter_waits_total", "default", "passwordless/start", "interactive"] >= 1
    assert found["gatepost_limiter_wait_seconds_total", "default", "passwordless/start", "interactive"] > 0


def test_repairs_of_the_reconciler_are_counted(app: Celery, settings: Settings) -> None:
    """A lost message that is published again is one."""
    process = Process(settings.model_copy(update={"republish_after": 0.001}))
    with Producer(process.settings) as quick:
        quick.send_email("guest@example.com")
    process.redis.delete(process.keys.queue_key("gatepost.send"))
    reconciler = Reconciler(app, process.ledger, process.redis, process.keys, metrics=process.metrics)
    while not counted(process.metrics).get(("gatepost_reconciler_repairs_total", "published_again")):
        reconciler.run()
    process.close()

    assert counted(process.metrics)["gatepost_reconciler_repairs_total", "published_again"] == 1


def process_for(make_settings: Callable[..., Settings], simulator: SimulatorServer) -> Process:
    return Process(
        make_settings(
            auth0_domain=simulator.domain,
            auth0_base_url=simulator.url,
            auth0_client_id=DEV_CLIENT_ID,
            auth0_client_secret=DEV_CLIENT_SECRET,
        )
    )
