"""Recipients a second through two bulk worker processes, beside two bare requests.Session loops on the same machine.

The server answers at once and has no quota, so what is measured is what a recipient costs. Both are measured in turn, three times,
and the medians compared. Run: python benchmarks/campaign_throughput.py [recipients] [answer after, seconds]
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import requests
from campaign_setup import SEALING_KEY, expect, keep, people, settings_for, valkey

from gatepost.campaigns.control import Campaigns
from gatepost.campaigns.model import Options, Status
from gatepost.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.queues import Queue

    from gatepost.settings import Settings

PROCESSES = 2
ROUNDS = 3
LOOP_S = 5.0


def main() -> None:
    """Measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
    delay_s = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    with ExitStack() as stack:
        port = stack.enter_context(stub(delay_s))
        server = stack.enter_context(valkey())
        settings = settings_for(server.url, auth0_base_url=f"http://127.0.0.1:{port}")
        for number in range(PROCESSES):
            stack.enter_context(worker(settings, number))
        campaigns = stack.enter_context(Campaigns(settings))
        send(campaigns, 2_000, seed=99)
        bare, sent = [], []
        for number in range(ROUNDS):
            bare.append(bare_loops(f"http://127.0.0.1:{port}/passwordless/start"))
            sent.append(send(campaigns, count, seed=number))
        window = campaigns.list()[0].in_flight_limit
    figures: dict[str, Any] = {
        "recipients": count,
        "answer_after_s": delay_s,
        "bare_loops_per_s": statistics.median(bare),
        "recipients_per_s": statistics.median(sent),
        "ratio": statistics.median(sent) / statistics.median(bare),
        "in_flight_limit_at_the_end": window,
        "rounds_bare": [round(rate) for rate in bare],
        "rounds_sent": [round(rate) for rate in sent],
    }
    keep("campaign_throughput" if not delay_s else f"campaign_throughput_after_{int(delay_s * 1000)}ms", figures)


def send(campaigns: Campaigns, count: int, seed: int) -> float:
    """Send to everybody, and return recipients a second from the start to the end."""
    campaign_id = campaigns.create("benchmark", Options())
    campaigns.add(campaign_id, people(count, seed))
    started = time.perf_counter()
    campaigns.start(campaign_id)
    while campaigns.status(campaign_id).status is not Status.FINISHED:
        time.sleep(0.05)
    elapsed = time.perf_counter() - started
    expect(campaigns.status(campaign_id).counts[State.ACCEPTED] == count, "everybody is accepted")
    return count / elapsed


def bare_loops(url: str) -> float:
    """Return requests a second of as many processes, each with a Session and nothing else."""
    context = multiprocessing.get_context("spawn")
    results: Queue[float] = context.Queue()
    processes = [context.Process(target=loop, args=(url, results)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    rates = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return sum(rates)


def loop(url: str, results: Queue[float]) -> None:
    """Post for some seconds."""
    body = {
        "client_id": "client",
        "connection": "email",
        "email": "someone@example.com",
        "send": "code",
        "client_secret": "s",
    }
    with requests.Session() as session:
        for _ in range(200):
            session.post(url, json=body, timeout=10).content  # noqa: B018 - reads the answer
        done, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < LOOP_S:
            session.post(url, json=body, timeout=10).content  # noqa: B018 - as above
            done += 1
    results.put(done / elapsed)


@contextmanager
def stub(delay_s: float) -> Iterator[int]:
    """The server, in a process of its own."""
    path = os.path.join(os.path.dirname(__file__), "campaign_stub.py")  # noqa: PTH118, PTH120 - for a command line
    process = subprocess.Popen([sys.executable, path, str(delay_s)], stdout=subprocess.PIPE, text=True)
    expect(process.stdout is not None, "the stub has an output")
    try:
        yield int(process.stdout.readline() if process.stdout else 0)
    finally:
        process.kill()
        process.wait()


@contextmanager
def worker(settings: Settings, number: int) -> Iterator[None]:
    """A bulk worker process, as it is run in production."""
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
        stderr=subprocess.STDOUT if os.environ.get("QUIET", "1") == "1" else None,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
