"""What the metrics of a worker cost a campaign: runs as they are and runs in which nothing is counted, in turn; and the cost of a scrape.

python benchmarks/metrics_cost.py --recipients 20000 --rounds 5
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from prometheus_client import generate_latest

from comparison import bulk, runners, stub
from comparison.processes import free_ports, scratch
from gatepost_core.kinds import Channel, Endpoint
from gatepost_worker.authentication.rate_limits import RateLimits
from gatepost_worker.bulk.step_counts import StepCounts
from gatepost_worker.limiter import LimiterKey, Reading
from gatepost_worker.metrics.counts import WorkerMetrics
from gatepost_worker.metrics.exposition import WorkerSource, registry_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_IN_A_STEP = 64
# Python runs this module at the start of each process that finds it.
_UNCOUNTED = """
from gatepost_worker.bulk.step_counts import StepCounts

for method in ("accepted", "failed", "record", "waits", "screened"):
    setattr(StepCounts, method, lambda *_: None)
"""


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    _parts()
    found: dict[bool, list[bulk.BulkRun]] = {True: [], False: []}
    with scratch() as directory:
        directory.chmod(0o755)
        http_port, tls_port = free_ports(2)
        with stub.running(directory / "stub", http_port=http_port, tls_port=tls_port, delay_s=0) as target:
            for number in range(2 * given.rounds):
                # The order changes, so that a busier machine hits both alike.
                counted = number % 4 in {0, 3}
                found[counted].append(_run(directory, target, given.recipients, counted=counted))
                last = found[counted][-1]
                print(
                    f"{'with' if counted else 'without'}: {last.rate:,.0f}/s, {last.cpu_s_per_1000:.4f} CPU-s per 1,000"
                )
    # Another program on the machine only makes a run worse, so the best runs are compared too.
    for what, best in (("rate", max), ("cpu_s_per_1000", min)):
        for name, of in (("median", statistics.median), ("best", best)):
            one = {counted: of([getattr(run, what) for run in runs]) for counted, runs in found.items()}
            print(
                f"{what}, {name}: with {one[True]:,.4g}, without {one[False]:,.4g}: {one[True] / one[False] - 1:+.1%}"
            )


def _parts() -> None:
    metrics = WorkerMetrics(["default"])
    counts = StepCounts(metrics, LimiterKey("default", Endpoint.START))
    limits = [
        RateLimits(limit=100, remaining=50, sent_at=1.0, received_at=1.0 + one / 1000) for one in range(_IN_A_STEP)
    ]
    readings = [Reading(ticket=number, limits=one) for number, one in enumerate(limits)]

    def step() -> None:
        for _ in readings:
            counts.accepted(Channel.EMAIL)
        counts.record(readings)

    registry = registry_of(WorkerSource(metrics))
    print(f"counting a recipient: {_cpu_s(step, 5000) / _IN_A_STEP * 1e6:.2f} us of CPU")
    print(f"a scrape: {_cpu_s(lambda: generate_latest(registry), 200) * 1000:.2f} ms of CPU")


def _cpu_s(call: Callable[[], Any], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times


def _run(directory: Path, target: stub.Stub, recipients: int, *, counted: bool) -> bulk.BulkRun:
    hook = directory / "uncounted"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text("" if counted else _UNCOUNTED, encoding="utf-8")
    os.environ["PYTHONPATH"] = str(hook)
    try:
        return bulk.measure(partial(_made, target), target, recipients)
    finally:
        del os.environ["PYTHONPATH"]


def _made(target: stub.Stub, url: str, directory: Path) -> Any:
    return runners.Gatepost(target, url, directory, tls=False, options=("--queues", "bulk,login"))


if __name__ == "__main__":
    main()
