"""The ratios of the benchmark report."""

from __future__ import annotations

from typing import Any

import pytest

from comparison.summary import ratios, section


def run(rate: float, cpu: float = 1.0, recipients: int = 1000) -> dict[str, Any]:
    return {"rate": rate, "cpu_s_per_1000": cpu, "recipients": recipients}


def report(**given: Any) -> dict[str, Any]:
    return {"bulk": [], "logins": {}, "enqueueing": {}, "sizes": [], **given}


def bulk(slug: str, **runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"slug": slug, "runs": {name.replace("_", "-"): each for name, each in runs.items()}}


def test_the_rate_is_compared_with_the_fastest_python_peer_by_medians() -> None:
    """One lucky round of a peer does not make it the fastest."""
    lucky = [run(100), run(100), run(900)]
    found = ratios(report(bulk=[bulk("http-50-ms", gatepost=[run(400)], tuned=lucky, taskiq=[run(200)])]))

    assert found["http, 50 ms: Gatepost's rate / the rate of the fastest other Python queue"] == pytest.approx(2)


def test_the_better_of_defaults_and_best_settings_counts_for_rates() -> None:
    """The run with more calls is faster here."""
    found = ratios(report(bulk=[bulk("tls-50-ms", gatepost=[run(100)], gatepost_best=[run(300)], bullmq=[run(600)])]))

    assert found["TLS, 50 ms: Gatepost's rate / BullMQ's rate"] == pytest.approx(0.5)


def test_cpu_seconds_are_those_of_the_defaults() -> None:
    """The usual way needs four times as much."""
    found = ratios(report(bulk=[bulk("http-at-once", gatepost=[run(9, cpu=0.5)], usual=[run(1, cpu=2.0)])]))

    assert found["http, at once: CPU seconds per recipient: the usual way / Gatepost"] == pytest.approx(4)


def test_the_cost_of_a_producer_is_compared_with_the_first() -> None:
    """By CPU seconds and by memory."""
    made = {"Celery": [{"construct_cpu_s": 0.1, "mib": 40}], "Gatepost": [{"construct_cpu_s": 0.2, "mib": 50}]}

    assert ratios(report(producers=made)) == {
        "CPU seconds to start an application: Gatepost / Celery": pytest.approx(2),
        "memory of an application after its start: Gatepost / Celery": pytest.approx(1.25),
    }


def test_logins_beside_a_campaign_are_compared_with_logins_alone() -> None:
    """By their p99."""
    assert ratios(report(beside={"p99_ratio": 1.25})) == {
        "99th percentile of the time of a login: while a campaign runs / without a campaign": 1.25
    }


def test_the_ratios_of_all_scenarios_share_a_table() -> None:
    """A scenario without figures has no ratio in its column."""
    figures = {"gatepost": [run(200)], "bullmq": [run(100)]}
    (text,) = section(report(bulk=[bulk("http-50-ms", **figures), bulk("tls-at-once", **figures)]))

    assert "| ratio | http, at once | http, 50 ms | TLS, at once | TLS, 50 ms |" in text
    assert "| Gatepost's rate / BullMQ's rate | n/a | 2.00 | 2.00 | n/a |" in text


def test_a_ratio_without_figures_is_left_out() -> None:
    """A report in which nothing ran has no section."""
    assert ratios(report()) == {}
    assert section(report()) == []


def test_each_way_to_enqueue_is_compared_with_the_first() -> None:
    """The first one is Celery's."""
    found = ratios(report(enqueueing={"delay": [run(100)], "send_many": [run(500)]}))

    assert found == {"sends put on the queue per second: send_many / delay": pytest.approx(5)}
