"""Three real worker processes against the simulator, in real time: `python benchmarks/limiter_processes.py [SECONDS]`.

Each process has four or eight threads that ask the limiter, send an invitation over HTTP, and hand the reading over with the next question. The
simulator's foreign traffic steps from nothing to 70 % to 20 % of the refill. Answers are held up by 50-150 ms in the sender.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from gatepost.embedded import EmbeddedValkey
from gatepost_simulator.control import ControlClient
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from gatepost_worker.authentication import Configuration, Passwordless
from gatepost_worker.authentication.errors import AuthenticationError
from gatepost_worker.authentication.refusals import RateLimited
from gatepost_worker.limiter import Lane, LimiterKey, Permit, Reading, RedisLimiter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

    from gatepost_worker.authentication.rate_limits import RateLimits

PROCESSES = 3
RESERVE = 0.2
KEY = LimiterKey("tenant", "passwordless/start")


def send(
    client: Passwordless, limiter: RedisLimiter, recipient: str, readings: Sequence[Reading]
) -> tuple[str, Reading | None]:
    """Ask once, and send once if allowed; give what came of it and what was read."""
    answer = limiter.acquire(KEY, Lane.BULK, readings=readings)
    if not isinstance(answer, Permit):
        time.sleep(answer.seconds)
        return "waited", None
    outward, homeward = (random.uniform(0.02, 0.08) for _ in range(2))  # noqa: S311 - a made-up network
    time.sleep(outward)
    outcome = "accepted"
    failure: AuthenticationError | None = None
    limits: RateLimits | None = None
    try:
        limits = client.send_email(recipient).rate_limits
    except AuthenticationError as error:
        outcome, failure, limits = type(error).__name__, error, error.rate_limits
    time.sleep(homeward)
    if limits is None:
        return outcome, None
    return outcome, Reading(ticket=answer.first_ticket, limits=limits, refused=isinstance(failure, RateLimited))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the processes work, how many threads each, and for how long."""

    redis_url: str
    url: str
    threads: int
    seconds: float


def work(number: int, place: Place, everybody: Barrier, results: Queue[dict[str, int]]) -> None:
    """Be one worker process."""
    limiter = RedisLimiter(redis.Redis.from_url(place.redis_url, max_connections=place.threads + 1))
    counts: dict[str, int] = {}
    lock = threading.Lock()
    configuration = Configuration(base_url=place.url)
    everybody.wait()
    until = time.monotonic() + place.seconds

    def slot(thread: int) -> None:
        with Passwordless(
            domain="simulator.test",
            client_id=DEV_CLIENT_ID,
            client_secret=DEV_CLIENT_SECRET,
            configuration=configuration,
        ) as client:
            reading: Reading | None = None
            sent = 0
            while time.monotonic() < until:
                readings, reading = ([reading] if reading else []), None
                outcome, reading = send(client, limiter, f"guest-{number}-{thread}-{sent}@example.com", readings)
                sent += outcome != "waited"
                with lock:
                    counts[outcome] = counts.get(outcome, 0) + 1

    slots = [threading.Thread(target=slot, args=(thread,)) for thread in range(place.threads)]
    for thread in slots:
        thread.start()
    for thread in slots:
        thread.join()
    results.put(counts)


@contextmanager
def simulator(directory: Path, size: int, refill: float) -> Iterator[str]:
    """A simulator process whose tenant has such a bucket."""
    config = directory / "simulator.json"
    config.write_text(json.dumps({"quota": {"tenant": {"size": size, "refill": refill}, "per_ip": "off"}}))
    command = [sys.executable, "-m", "gatepost_simulator", "--port", "0", "--json", "--until-stdin-closes"]
    process = subprocess.Popen(
        [*command, "--config", str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None  # noqa: S101 - narrows subprocess's types
        assert process.stdout is not None  # noqa: S101 - likewise
        yield json.loads(process.stdout.readline())["url"]
        process.stdin.close()


def run(size: int, refill: float, threads: int, seconds: float) -> None:
    """Run once and print a row."""
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as name,
        EmbeddedValkey(Path(name)) as valkey,
        simulator(Path(name), size, refill) as url,
    ):
        control = ControlClient(url)
        results: Queue[dict[str, int]] = spawn.Queue()
        everybody = spawn.Barrier(PROCESSES + 1)
        place = Place(redis_url=valkey.url, url=url, threads=threads, seconds=seconds)
        workers = [spawn.Process(target=work, args=(number, place, everybody, results)) for number in range(PROCESSES)]
        for worker in workers:
            worker.start()
        everybody.wait()
        for share in (0.0, 0.7, 0.2):
            control.foreign_traffic(share * refill)
            time.sleep(seconds / 3)
        control.foreign_traffic(0)
        counts: dict[str, int] = {}
        for _ in workers:
            for outcome, count in results.get().items():
                counts[outcome] = counts.get(outcome, 0) + count
        for worker in workers:
            worker.join()
        foreign = control.foreign_traffic()["tenant"]
        report(size, refill, counts, foreign, seconds)


def report(size: int, refill: float, counts: dict[str, int], foreign: dict[str, Any], seconds: float) -> None:
    """Print a row."""
    accepted, refused = counts.get("accepted", 0), counts.get("RateLimited", 0)
    left_over = size * (1 - RESERVE) + refill * seconds - foreign["accepted"]
    theirs = foreign["accepted"] + foreign["refused"]
    print(
        f"{size} at {refill:g}/s: {accepted} accepted, {accepted / left_over:.1%} of what was left over; "
        f"our 429s {refused} ({refused / max(1, accepted + refused):.2%}); "
        f"others' 429s {foreign['refused']} of {theirs} ({foreign['refused'] / max(1, theirs):.2%}); {counts}",
        flush=True,
    )


def main() -> None:
    """Print the rows."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    print(f"{PROCESSES} worker processes, {seconds:g} s each, foreign traffic 0 -> 70 % -> 20 %:")
    for size, refill, threads in [(25, 25.0, 4), (100, 100.0, 8), (300, 5.0, 4)]:
        run(size, refill, threads, seconds)


if __name__ == "__main__":
    main()
