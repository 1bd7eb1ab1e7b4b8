"""A worker serves its metrics at a port beside its health, and runs without the extra."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from support.free_ports import free_port
from support.metrics_text import values_in

if TYPE_CHECKING:
    from support.stack import Stack

TESTS = str(Path(__file__).parents[2])


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return values_in(answer.read().decode())


def test_a_worker_serves_its_metrics(stack: Stack) -> None:
    """What it sends and how it fares is in them, and no address."""
    port = free_port()
    worker = stack.worker("gatepost.send", GATEPOST_METRICS_PORT=str(port))
    with stack.producer() as producer:
        assert producer.send_email("guest@example.com").result(120)
    stack.until(lambda: scraped(port)["gatepost_worker_messages_taken_total"] == 1, "the message counts", worker)
    found = scraped(port)

    assert found['gatepost_attempts_total{kind="send_email",outcome="accepted",reason=""}'] == 1
    assert found["gatepost_worker_connected"] == 1
    assert found["gatepost_worker_healthy"] == 1
    assert not [series for series in found if "guest" in series]


def test_a_worker_without_the_extra_runs(stack: Stack) -> None:
    """Its log says that no metrics are served, and names the extra."""
    worker = stack.worker(
        "gatepost.send",
        application="support.worker_without_metrics",
        GATEPOST_METRICS_PORT=str(free_port()),
        PYTHONPATH=TESTS,
    )
    with stack.producer() as producer:
        assert producer.send_email("guest@example.com").result(120)

    assert "metrics.not_served" in worker.output()
    assert "gatepost[metrics]" in worker.output()
