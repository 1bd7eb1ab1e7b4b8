"""The share of a quota that three workers use, and the 429s: `python benchmarks/limiter_simulation.py [SEEDS]`.

The shipped limiter, script and all, over a real Valkey, in simulated time (`tests/support/limiter_world.py`), compared with the usual methods.
Then whole campaigns in the same world, whose window of batches decides how many calls are in flight (`tests/support/campaign_world.py`).
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from gatepost_operations.local.embedded_valkey import EmbeddedValkey

sys.path.append(str(Path(__file__).parents[1] / "tests"))

# The world belongs to the tests, which are no package.
from support.campaign_world import CampaignWorld, constant, even, tailed
from support.limiter_world import (
    Bucket,
    Run,
    SharedLimiter,
    Tenant,
    World,
    foreign_traffic,
    nobody_else,
    simulate,
    stepping,
)
from support.usual_pacing import CeleryRateLimit, ExponentialBackoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.limiter_world import Pacing

SEEDS = 5


@dataclass(frozen=True, kw_only=True)
class Case:
    """A bucket and its load."""

    limit: int
    refill: float
    seconds: float
    share: Callable[[float], float] = nobody_else
    slots: int = 24
    recipients: float = math.inf

    @property
    def name(self) -> str:
        """The bucket's name in the table."""
        rate = f"{self.refill:g}/s" if self.refill >= 1 else f"{self.refill * 3600:g}/h"
        return f"{self.limit} at {rate}"

    def run(self, way: Callable[[World, Case], Pacing], seed: int) -> Run:
        """Run the case once."""
        world = World(seed)
        tenant = Tenant(world=world, bucket=Bucket(world, self.limit, self.refill))
        return simulate(
            tenant,
            way(world, self),
            seconds=self.seconds,
            share=self.share,
            slots=self.slots,
            recipients=self.recipients,
        )


STEPPED = [
    Case(limit=limit, refill=refill, seconds=seconds, share=stepping(seconds))
    for limit, refill, seconds in [
        (25, 25.0, 90.0),
        (200, 25.0, 90.0),
        (300, 25.0, 90.0),
        (100, 100.0, 45.0),
        (300, 100.0, 45.0),
        (400, 100.0, 45.0),
        (300, 5.0, 300.0),
        (50, 1.0, 300.0),
    ]
] + [Case(limit=500, refill=500.0, seconds=12.0, share=stepping(12.0), slots=120)]
CAMPAIGN = Case(limit=50, refill=1.0, seconds=1000, recipients=300, slots=12)
HOURLY = Case(limit=50, refill=1 / 72, seconds=4 * 3600, slots=6)


def shared(client: redis.Redis, world: World, _case: Case) -> Pacing:
    """Gatepost's limiter, from a cold start."""
    client.flushall()
    return SharedLimiter(world, client)


def guessed(share: float, world: World, case: Case) -> Pacing:
    """Celery's rate_limit, at a share of the true refill."""
    return CeleryRateLimit(world, share * case.refill)


def backing_off(world: World, _case: Case) -> Pacing:
    """Retries alone."""
    return ExponentialBackoff(world)


def report(case: Case, way: str, runs: list[Run]) -> None:
    """Print a row: means over the seeds, and the worst."""
    mean = statistics.fmean
    print(
        f"| {case.name:<12} | {way:<38} "
        f"| {mean(run.used for run in runs):>6.1%} ({min(run.used for run in runs):.1%}) "
        f"| {mean(run.refused for run in runs):>6.2%} ({max(run.refused for run in runs):.2%}) "
        f"| {mean(run.foreign_refused for run in runs):>6.2%} ({max(run.foreign_refused for run in runs):.2%}) "
        f"| {mean(run.seconds for run in runs):>6.0f} | {'' if math.isnan(runs[0].asked) else format(mean(run.asked for run in runs), '.1f'):>4} |",
        flush=True,
    )


def heading(text: str) -> None:
    """Print a table's head."""
    print(f"\n{text}\n")
    print(
        "| bucket | way | quota used, mean (worst) | our 429s, mean (worst) | others' 429s, mean (worst) | seconds | asks a send |"
    )
    print("|---|---|---|---|---|---|---|")


def compare(cases: list[Case], client: redis.Redis, seeds: int) -> None:
    """Run every method on every case."""
    ways: dict[str, Callable[[World, Case], Pacing]] = {
        "Gatepost": partial(shared, client),
        "Celery rate_limit, guess: all of it": partial(guessed, 1.0),
        "Celery rate_limit, guess: half of it": partial(guessed, 0.5),
        "exponential backoff, full jitter": backing_off,
    }
    for case in cases:
        for name, way in ways.items():
            report(case, name, [case.run(way, seed) for seed in range(1, seeds + 1)])


def campaign(
    client: redis.Redis, name: str, latency: Callable[[World], float], refused_share: float, seeds: int
) -> None:
    """Run one campaign of 6,000 against 100 a second, others at 20-80 %; print a row."""
    used, refused = [], []
    for seed in range(1, seeds + 1):
        client.flushall()
        world = World(seed)
        tenant = Tenant(world=world, bucket=Bucket(world, 100, 100.0))
        fleet = CampaignWorld(
            world, client, tenant, latency=partial(latency, world), refused_share=refused_share, slots=64
        )
        fleet.start("spring", 6000)
        world.start(foreign_traffic(world, tenant, lambda now: 0.5 - 0.3 * math.cos(math.tau * now / 40)))
        world.run(10)
        ours, theirs = tenant.counts["accepted"], tenant.foreign["accepted"]
        world.run(90)
        used.append((tenant.counts["accepted"] - ours) / (80 * 100.0 - tenant.foreign["accepted"] + theirs))
        refused.append(tenant.counts["refused"] / tenant.counts.total())
    mean = statistics.fmean
    print(
        f"| {name:<38} | {mean(used):6.1%} ({min(used):.1%}) | {mean(refused):6.2%} ({max(refused):.2%}) |", flush=True
    )


def campaigns(client: redis.Redis, seeds: int) -> None:
    """Run campaigns with answers of every kind."""
    print("\nCampaigns of 6,000, 100 a second, others at 20-80 % to and fro in 40 s; two workers with 32 slots.\n")
    print("| answers | left-over quota used, mean (worst) | our 429s, mean (worst) |\n|---|---|---|")
    campaign(client, "115 ms", constant, 0.0, seeds)
    campaign(client, "30-200 ms", even, 0.0, seeds)
    campaign(client, "80 ms, one in a hundred 1.5 s", tailed, 0.0, seeds)
    campaign(client, "115 ms, 20 % refused in 1 ms", constant, 0.2, seeds)


def cost(client: redis.Redis, calls: int = 3000) -> None:
    """Print the cost of one call on the server, compared with a script that does nothing."""
    world = World()
    pacing = SharedLimiter(world, client)
    nothing = client.register_script("return 1")

    def server_cpu(call: Callable[[], object]) -> None:
        call()
        before, started = client.info("cpu"), time.perf_counter()
        for _ in range(calls):
            call()
        after, took = client.info("cpu"), time.perf_counter() - started
        used = sum(after[name] - before[name] for name in ("used_cpu_user_main_thread", "used_cpu_sys_main_thread"))
        print(f"  {used / calls * 1e6:5.1f} us of the server's CPU, {took / calls * 1e6:5.0f} us for the caller")

    print("\nOne question to the limiter, the network's part included; then a script that does nothing:")
    server_cpu(lambda: pacing.ask(0))
    server_cpu(nothing)


def main() -> None:
    """Print the tables."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    with tempfile.TemporaryDirectory() as directory, EmbeddedValkey(Path(directory)) as server:
        client = redis.Redis.from_url(server.url)
        heading(
            "Foreign traffic steps from nothing to 70 % to 20 % of the refill; 3 workers with 8 slots; answers take 50-150 ms."
        )
        compare(STEPPED, client, seeds)
        heading("300 recipients. The arithmetic: 40 at once, down to the reserve of 10, then one a second: 260 s.")
        compare([CAMPAIGN], client, seeds)
        heading("50 an hour, for four hours, one slot a worker and more.")
        compare([HOURLY], client, seeds)
        campaigns(client, min(seeds, 2))
        cost(client)
        client.close()


if __name__ == "__main__":
    main()
