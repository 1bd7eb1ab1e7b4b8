"""The counts of a worker, and their form for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from gatepost_core.kinds import Endpoint, Kind, Lane
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.authentication import Cause
from gatepost_worker.authentication.rate_limits import ClientQuota, RateLimits
from gatepost_worker.limiter import LimiterKey, Reading
from gatepost_worker.metrics import names
from gatepost_worker.metrics.counts import MOST_TENANTS, Attempt, WorkerMetrics
from gatepost_worker.metrics.exposition import WorkerSource, registry_of
from support.metrics_text import values_in

START = LimiterKey("default", Endpoint.START)


def shown(metrics: WorkerMetrics) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(WorkerSource(metrics))  # type: ignore[arg-type] # has collect()
    return values_in(generate_latest(registry).decode())


def reading(seconds: float, remaining: int = 40, *, refused: bool = False, **options: object) -> Reading:
    limits = RateLimits(limit=50, remaining=remaining, sent_at=100.0, received_at=100.0 + seconds, **options)  # type: ignore[arg-type]
    return Reading(ticket=1, limits=limits, refused=refused)


def test_attempts_are_counted_by_kind_outcome_and_reason() -> None:
    """Counts of several steps add up."""
    metrics = WorkerMetrics()
    lost = Attempt("send_email", "unknown", "answer_lost")
    metrics.attempts({lost: 2, Attempt("send_email", "accepted", ""): 62})
    metrics.attempts({lost: 1})
    found = shown(metrics)

    assert found['gatepost_attempts_total{kind="send_email",outcome="unknown",reason="answer_lost"}'] == 3
    assert found['gatepost_attempts_total{kind="send_email",outcome="accepted",reason=""}'] == 62


def test_latencies_are_a_histogram_of_all_answers() -> None:
    """The slowest answer is in the last bucket only."""
    metrics = WorkerMetrics()
    metrics.answered(START, [reading(0.125), reading(0.3), reading(60.0)])
    found = shown(metrics)
    start, tenant = 'endpoint="passwordless/start"', 'tenant="default"'
    below = {
        bound: found[f'gatepost_answer_seconds_bucket{{{start},le="{bound}",{tenant}}}']
        for bound in ("0.05", "0.25", "0.5", "40.0", "+Inf")
    }

    assert below == {"0.05": 0, "0.25": 1, "0.5": 2, "40.0": 2, "+Inf": 3}
    assert found[f"gatepost_answer_seconds_count{{{start},{tenant}}}"] == 3
    assert abs(found[f"gatepost_answer_seconds_sum{{{start},{tenant}}}"] - 60.425) < 0.001


def test_the_newest_answer_states_the_quota_and_refusals_count() -> None:
    """For the tenant's bucket and for the bucket of its policy."""
    metrics = WorkerMetrics()
    quota = ClientQuota(quota=10, interval_s=1, remaining=4)
    metrics.answered(START, [reading(0.1, 40), reading(0.1, 20, refused=True, client_quota=quota)])
    found = shown(metrics)
    of = 'endpoint="passwordless/start",tenant="default"'

    assert found[f'gatepost_quota_limit{{bucket="tenant",{of}}}'] == 50
    assert found[f'gatepost_quota_left{{bucket="tenant",{of}}}'] == 20
    assert abs(found[f'gatepost_quota_used_ratio{{bucket="tenant",{of}}}'] - 0.6) < 1e-9
    assert found[f'gatepost_quota_left{{bucket="client",{of}}}'] == 4
    assert found[f"gatepost_throttled_total{{{of}}}"] == 1


def test_an_old_quota_is_not_shown() -> None:
    """A worker that makes no calls does not show its last level for ever."""
    now = [0.0]
    metrics = WorkerMetrics(monotonic=lambda: now[0])
    metrics.answered(START, [reading(0.1)])
    now[0] = 301.0

    assert not [name for name in shown(metrics) if name.startswith("gatepost_quota")]


def test_waits_are_counted_with_their_seconds() -> None:
    """By lane, so that waiting logins are told from waiting campaigns."""
    metrics = WorkerMetrics()
    metrics.waited(START, Lane.BULK, 1.5)
    metrics.waited(START, Lane.BULK, 0.5)
    found = shown(metrics)
    of = 'endpoint="passwordless/start",lane="bulk",tenant="default"'

    assert found[f"gatepost_limiter_waits_total{{{of}}}"] == 2
    assert found[f"gatepost_limiter_wait_seconds_total{{{of}}}"] == 2


def test_the_number_of_series_is_bounded() -> None:
    """Fifty tenants beyond the bound share one series, and everything else is a closed set."""
    metrics = WorkerMetrics()
    whys = [*Reason, *Cause]
    for kind in Kind:
        metrics.attempts({Attempt(kind, state, why): 1 for state in State for why in whys})
    for number in range(MOST_TENANTS + 50):
        for endpoint in Endpoint:
            key = LimiterKey(f"tenant{number}", endpoint)
            metrics.answered(key, [reading(0.1, client_quota=ClientQuota(quota=1, interval_s=1, remaining=1))])
            for lane in Lane:
                metrics.waited(key, lane, 1.0)
    found = shown(metrics)
    tenants = {name.split('tenant="')[1].split('"')[0] for name in found if 'tenant="' in name}

    assert len(tenants) == MOST_TENANTS + 1
    assert "other" in tenants
    assert len([name for name in found if 'tenant="' in name]) <= (MOST_TENANTS + 1) * len(Endpoint) * 30
    assert len([name for name in found if name.startswith(names.ATTEMPTS.name)]) <= len(Kind) * len(State) * len(whys)


def test_no_label_is_named_for_an_id_or_a_person() -> None:
    """Labels come from closed sets, and tenants are bounded."""
    allowed = {"kind", "outcome", "reason", "tenant", "endpoint", "lane", "bucket", "work", "why", "repair", "result"}

    assert {label for metric in names.METRICS for label in metric.labels} <= allowed


def test_a_registry_shows_the_process_too() -> None:
    """Its memory and CPU time come from the library."""
    text = generate_latest(registry_of(WorkerSource(WorkerMetrics()))).decode()

    assert "process_resident_memory_bytes" in text
