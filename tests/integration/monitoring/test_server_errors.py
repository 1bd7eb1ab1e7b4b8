"""The servers of health and metrics print nothing past the log."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest
import structlog.testing

from gatepost_worker.metrics.exposition import serve
from gatepost_worker.upkeep.health_server import HealthServer, QueueSampler
from gatepost_worker.upkeep.liveness import Liveness, Report
from support.free_ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from prometheus_client.core import Metric

CANARY = "canary-8f11"
LINGER_NOT = struct.pack("ii", 1, 0)


def break_off(port: int) -> None:
    """Send a part of a request, and reset the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"GET /metr")
        time.sleep(0.2)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)


class Failing:
    """Metrics that cannot be read."""

    def collect(self) -> Iterable[Metric]:
        raise ValueError(CANARY)


class Unreadable(Liveness):
    """Progress that cannot be read."""

    def report(self) -> Report:
        raise ValueError(CANARY)


class Silent(QueueSampler):
    """A broker that is never asked in this test."""

    def __init__(self) -> None:
        pass

    def sample(self) -> tuple[dict[str, int], int]:
        raise AssertionError

    def close(self) -> None:
        return


def test_metrics_that_fail_are_a_log_event(capfd: pytest.CaptureFixture[str]) -> None:
    """The event has the error's class and places. The client gets the status 500."""
    port = free_port()
    with structlog.testing.capture_logs() as logs:
        stop = serve(Failing(), host="127.0.0.1", port=port, setting="--port")
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics")
        stop()
    (line,) = logs

    assert (answer.status_code, line["event"]) == (500, "server.request_failed")
    assert line["failure"].startswith("ValueError at ")
    assert CANARY not in str(line) + answer.text
    assert capfd.readouterr() == ("", "")


def test_a_report_that_fails_is_a_log_event(capfd: pytest.CaptureFixture[str]) -> None:
    """The same for the health of a worker."""
    with structlog.testing.capture_logs() as logs:
        server = HealthServer(Unreadable(30.0), Silent(), host="127.0.0.1", port=0, patience_s=600).start()
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"http://127.0.0.1:{server.port}/health")
        server.stop()

    assert [line["event"] for line in logs] == ["server.request_failed"]
    assert CANARY not in str(logs)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("configured")
def test_a_client_that_goes_away_prints_nothing(tmp_path: Path) -> None:
    """Python would print a traceback with the client's address. `gatepost metrics` has an empty log, until something happens."""
    port = free_port()
    command = [sys.executable, "-m", "gatepost_operations.cli", "metrics", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        break_off(port)
        httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60)
        process.send_signal(signal.SIGTERM)
        rest, log = process.communicate(timeout=60)

    assert (first, rest, log) == (f"Serving http://127.0.0.1:{port}/metrics\n", "", "")
