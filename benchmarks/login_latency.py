"""The duration of a login while a campaign uses the whole quota, compared with the same without it: `python benchmarks/login_latency.py`.

Real processes: Valkey, the simulator with a bucket of 100 a second and answers after 50 ms, one worker for logins and one for bulk. A login
is enqueued every 50 ms; its time runs from its record to its end, both by Valkey's clock. The two ways take turns, so that a noisy machine
meets both.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_simulator.server import SimulatorServer

sys.path.append(str(Path(__file__).parents[1] / "tests"))

# The stack belongs to the tests, which are no package.
from support.stack import Stack

if TYPE_CHECKING:
    from gatepost import Producer

ROUNDS = 3
LOGINS = 150
EVERY_S = 0.05
QUOTA = {"tenant": {"size": 100, "refill": 100, "period_s": 1}, "endpoints": {}}
RESULT = Path(__file__).parent / "results" / "login_latency.json"


def measure(producer: Producer, count: int) -> list[float]:
    """Enqueue logins at an even rate and return how many milliseconds each took. Their codes are wrong; the path is the same."""
    handles = []
    for number in range(count):
        handles.append(producer.login_with_email(f"login-{number}@example.com", "000000"))
        time.sleep(EVERY_S)
    outcomes = [handle.wait(60) for handle in handles]
    times = [(one.updated_at - one.created_at).total_seconds() for one in outcomes if one.updated_at and one.created_at]
    return [1000 * seconds for seconds in times]


def percentile(values: list[float], share: float) -> float:
    """Return the value that a share of all values does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def compare(rounds: int = ROUNDS, logins: int = LOGINS) -> dict[str, Any]:
    """Run both cases in turns, and return the figures.

    Args:
        rounds: how often each case runs.
        logins: how many logins each case has in a round.
    """
    alone: list[float] = []
    beside: list[float] = []
    directory = Path(tempfile.mkdtemp(prefix="gatepost-bench-"))
    with (
        EmbeddedValkey(directory / "valkey") as valkey,
        SimulatorServer(tls=True, quota=QUOTA, brute_force={"enabled": False}) as simulator,
        Stack(valkey, simulator, directory) as stack,
        stack.producer() as producer,
    ):
        stack.environment["GATEPOST_CONCURRENCY"] = "16"
        stack.worker("gatepost.login,gatepost.send")
        stack.worker("gatepost.bulk")
        stack.beat()
        simulator.control.script_fault(endpoint="/oauth/token", delay_s=0.05, when="before", count=0)
        simulator.control.script_fault(endpoint="/passwordless/start", delay_s=0.05, when="before", count=0)
        measure(producer, logins)  # a warm-up, not counted
        campaigns = producer.campaigns
        for round_number in range(rounds):
            alone += measure(producer, logins)
            campaign = campaigns.create(
                f"bench {round_number}", Options(pause_after_errors=None, pause_above_error_share=None)
            )
            campaigns.add(
                campaign,
                (Row(line=n, kind=Channel.EMAIL, recipient=f"r{round_number}-{n}@example.com") for n in range(20_000)),
            )
            campaigns.start(campaign)
            stack.until(lambda id_=campaign: campaigns.status(id_).done > 100, "the campaign runs", timeout=60)
            before, began = campaigns.status(campaign).done, time.monotonic()
            beside += measure(producer, logins)
            rate = (campaigns.status(campaign).done - before) / (time.monotonic() - began)
            campaigns.cancel(campaign)
            time.sleep(3)
    return {
        "logins": len(alone),
        "campaign_rate": round(rate, 1),
        "alone_ms": {"p50": round(statistics.median(alone), 1), "p99": round(percentile(alone, 0.99), 1)},
        "beside_a_campaign_ms": {"p50": round(statistics.median(beside), 1), "p99": round(percentile(beside, 0.99), 1)},
        "p99_ratio": round(percentile(beside, 0.99) / percentile(alone, 0.99), 2),
        "p50_ratio": round(statistics.median(beside) / statistics.median(alone), 2),
    }


def main() -> None:
    """Compare, and print and keep the figures."""
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    figures = {"machine": machine, **compare()}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
