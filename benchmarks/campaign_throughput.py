"""Recipients a second through two bulk worker processes, compared with two bare requests.Session loops on the same machine.

The server answers at once and has no quota, so the figures show the cost of a recipient. Both are measured in turn, three times,
and the medians compared: by the clock, and by the CPU time of everything that runs (workers, Valkey, server; loops, server), which other
programs on the machine disturb less. Run: python benchmarks/campaign_throughput.py [recipients] [answer after, seconds]
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from campaign_setup import SEALING_KEY, expect, keep, people, settings_for, valkey
from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Status
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.queues import Queue

    from gatepost_core.settings import Settings

PROCESSES = 2
ROUNDS = 3
LOOP_S = 5.0


def main() -> None:
    """Run the benchmark."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
    delay_s = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    with ExitStack() as stack:
        port, stub_pid = stack.enter_context(stub(delay_s))
        server = stack.enter_context(valkey())
        settings = settings_for(server.url, auth0_base_url=f"http://127.0.0.1:{port}")
        pids = [stack.enter_context(worker(settings, number)) for number in range(PROCESSES)]
        everything = [*pids, server.pid, stub_pid]
        campaigns = stack.enter_context(Campaigns(settings))
        warm = campaigns.create("warm")
        campaigns.add(warm, people(2_000, seed=99))
        send(campaigns, warm, 2_000)
        bare, sent, bare_cpu, sent_cpu = [], [], [], []
        for number in range(ROUNDS):
            before = cpu_s(stub_pid)
            rate, requests_made, loops_cpu = bare_loops(f"http://127.0.0.1:{port}/passwordless/start")
            bare.append(rate)
            bare_cpu.append((loops_cpu + cpu_s(stub_pid) - before) / requests_made * 1000)
            people_of_round = campaigns.create("benchmark")
            campaigns.add(people_of_round, people(count, number))
            before = cpu_s(*everything)
            sent.append(send(campaigns, people_of_round, count))
            sent_cpu.append((cpu_s(*everything) - before) / count * 1000)
        window = campaigns.list()[0].in_flight_limit
    figures: dict[str, Any] = {
        "recipients": count,
        "answer_after_s": delay_s,
        "bare_loops_per_s": statistics.median(bare),
        "recipients_per_s": statistics.median(sent),
        "ratio": statistics.median(sent) / statistics.median(bare),
        "bare_cpu_s_per_1000": statistics.median(bare_cpu),
        "sent_cpu_s_per_1000": statistics.median(sent_cpu),
        "ratio_by_cpu": statistics.median(bare_cpu) / statistics.median(sent_cpu),
        "in_flight_limit_at_the_end": window,
        "rounds_bare": [round(rate) for rate in bare],
        "rounds_sent": [round(rate) for rate in sent],
    }
    keep("campaign_throughput" if not delay_s else f"campaign_throughput_after_{int(delay_s * 1000)}ms", figures)


def cpu_s(*pids: int) -> float:
    """Return the CPU seconds that processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def send(campaigns: Campaigns, campaign_id: str, count: int) -> float:
    """Send to all recipients, and return recipients a second from start to end."""
    started = time.perf_counter()
    campaigns.start(campaign_id)
    while campaigns.status(campaign_id).status is not Status.FINISHED:
        time.sleep(0.05)
    elapsed = time.perf_counter() - started
    expect(campaigns.status(campaign_id).counts[State.ACCEPTED] == count, "everybody is accepted")
    return count / elapsed


def bare_loops(url: str) -> tuple[float, int, float]:
    """Run the same number of processes, each with only a Session; return requests a second, requests, and their CPU seconds."""
    context = multiprocessing.get_context("spawn")
    results: Queue[tuple[float, int, float]] = context.Queue()
    processes = [context.Process(target=loop, args=(url, results)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    rates, made, cpu = zip(*found, strict=True)
    return sum(rates), sum(made), sum(cpu)


def loop(url: str, results: Queue[tuple[float, int, float]]) -> None:
    """Send POST requests for a number of seconds."""
    body = {
        "client_id": "client",
        "connection": "email",
        "email": "someone@example.com",
        "send": "code",
        "client_secret": "s",
    }
    with requests.Session() as session:
        session.post(url, json=body, timeout=10)
        done, started, cpu = 0, time.perf_counter(), time.process_time()
        while (elapsed := time.perf_counter() - started) < LOOP_S:
            session.post(url, json=body, timeout=10)
            done += 1
    results.put((done / elapsed, done, time.process_time() - cpu))


@contextmanager
def stub(delay_s: float) -> Iterator[tuple[int, int]]:
    """Start the server in a process, and return its port and process."""
    path = Path(__file__).parent / "campaign_stub.py"
    process = subprocess.Popen([sys.executable, str(path), str(delay_s)], stdout=subprocess.PIPE, text=True)
    expect(process.stdout is not None, "the stub has an output")
    try:
        yield int(process.stdout.readline() if process.stdout else 0), process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def worker(settings: Settings, number: int) -> Iterator[int]:
    """Start a bulk worker process as in production, and return its process id."""
    environment = {
        **os.environ,
        "GATEPOST_REDIS_URL": settings.redis_url.get_secret_value(),
        "GATEPOST_SEALING_KEYS": SEALING_KEY.reveal(),
        "GATEPOST_FINGERPRINT_KEY": "a key for benchmarks",
        "AUTH0_DOMAIN": "localhost:1",
        "AUTH0_CLIENT_ID": "client",
        "AUTH0_CLIENT_SECRET": "secret",
        "AUTH0_BASE_URL": str(settings.auth0_base_url),
        "GATEPOST_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "celery", "-A", "gatepost_worker", "worker", "-Q", "gatepost.bulk"]
    process = subprocess.Popen(
        [*command, "-n", f"bulk{number}@bench", "--without-gossip", "--without-mingle"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
