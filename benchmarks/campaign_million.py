"""Whole campaigns from 10,000 to 1,000,000 recipients: progress, rate and memory over time, and the cost of a recipient at each size.

Real processes: Valkey, two bulk workers, a stub that answers at once and has no quota. Run: python benchmarks/campaign_million.py [size ...]
The curves of the largest campaign are drawn into docs/explanation/million.svg.
"""

from __future__ import annotations

import itertools
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from campaign_setup import expect, keep, people, settings_for, valkey
from campaign_throughput import PROCESSES, cpu_s, stub, worker
from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Status
from gatepost_core.kinds import Queue
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

KEYS = RedisKeys()

SIZES = (10_000, 100_000, 1_000_000)
EVERY_S = 2.0
PICTURE = Path(__file__).parents[1] / "docs" / "explanation" / "million.svg"


@dataclass(frozen=True)
class Sample:
    """A campaign's progress at one moment."""

    at_s: float
    done: int
    redis_mib: float
    worker_mib: float
    broker_messages: int


def main() -> None:
    """Run every size in turn, over the same workers."""
    sizes = [int(text.replace("_", "")) for text in sys.argv[1:]] or list(SIZES)
    with ExitStack() as stack:
        port, stub_pid = stack.enter_context(stub(0.0))
        server = stack.enter_context(valkey())
        settings = settings_for(server.url, auth0_base_url=f"http://127.0.0.1:{port}")
        pids = [stack.enter_context(worker(settings, number)) for number in range(PROCESSES)]
        client = stack.enter_context(redis.Redis.from_url(server.url))
        campaigns = stack.enter_context(Campaigns(settings))
        everything = [*pids, server.pid, stub_pid]
        figures: dict[str, Any] = {}
        samples: list[Sample] = []
        for number, size in enumerate(sizes):
            samples, cost = run(campaigns, client, size, seed=number, workers=pids, everything=everything)
            figures[f"{size}"] = cost
    first, last = figures[str(sizes[0])], figures[str(sizes[-1])]
    figures["cpu_of_the_largest_beside_the_smallest"] = last["cpu_s_per_1000"] / first["cpu_s_per_1000"]
    keep("campaign_million", figures)
    PICTURE.write_text(picture(samples, sizes[-1]), encoding="utf-8")


def run(
    campaigns: Campaigns,
    client: redis.Redis,
    size: int,
    *,
    seed: int,
    workers: Sequence[int],
    everything: Sequence[int],
) -> tuple[list[Sample], dict[str, float]]:
    """Run one campaign from the import to its end, and sample it every two seconds."""
    empty = used_mib(client)
    began = time.perf_counter()
    campaign_id = campaigns.create(f"{size} recipients")
    campaigns.add(campaign_id, people(size, seed))
    added_s = time.perf_counter() - began
    loaded = used_mib(client)
    before, started = cpu_s(*everything), time.perf_counter()
    campaigns.start(campaign_id)
    samples = []
    while True:
        campaign = campaigns.status(campaign_id)
        memory = sum(resident_mib(pid) for pid in workers)
        waiting = int(client.llen(KEYS.queue(Queue.BULK)))
        samples.append(Sample(time.perf_counter() - started, campaign.done, used_mib(client), memory, waiting))
        if campaign.status is Status.FINISHED:
            break
        time.sleep(EVERY_S if size > SIZES[0] else EVERY_S / 10)
    elapsed = time.perf_counter() - started
    expect(campaign.counts[State.ACCEPTED] == size, "everybody is accepted")
    expect(sum(campaign.counts.values()) == size, "the states add up")
    cost = {
        "added_per_s": size / added_s,
        "recipients_per_s": size / elapsed,
        "cpu_s_per_1000": (cpu_s(*everything) - before) / size * 1000,
        "redis_bytes_per_recipient": (loaded - empty) * 2**20 / size,
        "worker_mib_at_most": max(sample.worker_mib for sample in samples),
        "broker_messages_at_most": float(max(sample.broker_messages for sample in samples)),
    }
    campaigns.delete(campaign_id)
    return samples, cost


def used_mib(client: redis.Redis) -> float:
    """Return the memory that Redis uses, in MiB."""
    return float(client.info("memory")["used_memory"]) / 2**20


def resident_mib(pid: int) -> float:
    """Return the memory of a process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def picture(samples: Sequence[Sample], size: int) -> str:
    """Draw three curves over time, one above the other, as SVG."""
    rates = [(later.done - sooner.done) / (later.at_s - sooner.at_s) for sooner, later in itertools.pairwise(samples)]
    panels = [
        (f"recipients done, of {size:,}", [sample.done for sample in samples]),
        ("recipients a second", [rates[0], *rates]),
        ("memory, MiB: Valkey (dark), both workers (light)", [sample.redis_mib for sample in samples]),
    ]
    workers = [sample.worker_mib for sample in samples]
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 540" font-family="sans-serif" font-size="12">',
        '<rect width="720" height="540" fill="white"/>',
    ]
    for number, (title, values) in enumerate(panels):
        top = 30 + number * 170
        highest = max([*values, *workers]) if number == len(panels) - 1 else max(values)
        parts.append(f'<text x="60" y="{top - 8}">{title}</text>')
        parts += [
            f'<line x1="60" x2="700" y1="{top + 120 - 120 * share}" y2="{top + 120 - 120 * share}" stroke="#ddd"/>'
            f'<text x="54" y="{top + 124 - 120 * share}" text-anchor="end">{highest * share:,.0f}</text>'
            for share in (0, 0.5, 1)
        ]
        parts.append(curve(samples, values, highest, top, "#1f5fa8"))
        if number == len(panels) - 1:
            parts.append(curve(samples, workers, highest, top, "#8fbbe8"))
    end = samples[-1].at_s
    parts += [
        f'<text x="{60 + 640 * share}" y="525" text-anchor="middle">{end * share:,.0f} s</text>'
        for share in (0, 0.5, 1)
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def curve(samples: Sequence[Sample], values: Sequence[float], highest: float, top: float, colour: str) -> str:
    """Draw one curve."""
    end = samples[-1].at_s
    points = " ".join(
        f"{60 + 640 * sample.at_s / end:.1f},{top + 120 - 120 * value / highest:.1f}"
        for sample, value in zip(samples, values, strict=True)
    )
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>'


if __name__ == "__main__":
    main()
