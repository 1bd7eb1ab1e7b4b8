"""Logins with results: tasks a second through one process, and the time that a queue adds to a call, alone and under load."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import redis
import requests

from comparison import environments, figures
from comparison.contenders import PEERS
from comparison.processes import redis_server, run, scratch, started, usage
from comparison.runners import GATEPOST, gatepost_environment, gatepost_settings, wait_for_listeners
from comparison.stub import TOKEN
from gatepost import Producer
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from comparison.stub import Stub

IDLE_EVERY_S: Final = 0.05
LOAD: Final = 0.7
_WARM_UP: Final = 20
_QUIET_S: Final = 0.3
_TIMEOUT_S: Final = 120.0
_CODE: Final = "123456"


@dataclass(frozen=True)
class LoginRun:
    """The figures of one run.

    Attributes:
        rate: logins a second through one process, from the first answer to the last.
        cpu_s_per_1000: of the worker and Redis.
        idle_ms: the time of each login while nothing else runs.
        loaded_ms: the same at 70 % of the rate.
    """

    rate: float
    cpu_s_per_1000: float
    idle_ms: list[float]
    loaded_ms: list[float]


class Queue(Protocol):
    """Something that runs logins in the background."""

    def load(self, count: int) -> None:
        """Enqueue logins."""

    def worker(self, stack: ExitStack) -> int:
        """Start one worker, and return its process group."""

    def settle(self) -> None:
        """Check that every result is there.

        Raises:
            SystemExit: one is missing.
        """

    def latencies(self, count: int, every_s: float) -> list[float]:
        """Enqueue logins at an even rate, and return the milliseconds of each."""


class CeleryLogins:
    """Stock Celery with auth0-python, prefork with one process."""

    def __init__(self, stub: Stub, redis_url: str, directory: Path) -> None:
        peer = next(peer for peer in PEERS if peer.name == "usual")
        self._python = environments.interpreter(peer)
        self._directory = directory
        self._redis_url = redis_url
        self._count = 0
        self._environment = {
            **gatepost_environment(stub, redis_url, tls=False),
            "BENCH_REDIS_URL": redis_url,
            "BENCH_BASE_URL": stub.url(tls=False),
        }

    def load(self, count: int) -> None:
        """Run the script that enqueues."""
        self._count = count
        self._run("login", str(count))

    def worker(self, stack: ExitStack) -> int:
        """Start Celery."""
        command = [str(self._python.with_name("celery")), "-A", "usual", "worker", "--concurrency", "1"]
        log = self._directory / "worker.log"
        group = stack.enter_context(started(command, self._environment, environments.PEERS_DIRECTORY, log))
        wait_for_listeners(self._redis_url, 1)
        return group

    def settle(self) -> None:
        """Count the results in Redis."""
        with redis.Redis.from_url(self._redis_url) as client:
            results = sum(1 for _ in client.scan_iter("celery-task-meta-*", count=1000))
        if results != self._count:
            raise SystemExit(f"{results} of {self._count} logins have a result")

    def latencies(self, count: int, every_s: float) -> list[float]:
        """Run the script that measures."""
        return [float(each) for each in json.loads(self._run("latency", str(count), str(every_s)))]

    def _run(self, *arguments: str) -> str:
        return run([str(self._python), "usual.py", *arguments], self._environment, environments.PEERS_DIRECTORY)


class GatepostLogins:
    """`gatepost worker`, one process with its defaults."""

    def __init__(self, stub: Stub, redis_url: str, directory: Path) -> None:
        self._directory = directory
        self._redis_url = redis_url
        self._environment = gatepost_environment(stub, redis_url, tls=False)
        self._producer = Producer(gatepost_settings(self._environment))
        self._operations: list[str] = []

    def load(self, count: int) -> None:
        """Enqueue with a producer."""
        for number in range(count):
            self._operations.append(self._producer.login_with_email(f"guest-{number}@example.com", _CODE).operation_id)

    def worker(self, stack: ExitStack) -> int:
        """Start a worker."""
        command, log = [GATEPOST, "worker", "--beat"], self._directory / "worker.log"
        group = stack.enter_context(started(command, self._environment, self._directory, log))
        wait_for_listeners(self._redis_url, 1)
        return group

    def settle(self) -> None:
        """Wait for every outcome.

        Raises:
            SystemExit: a login was not accepted.
        """
        for operation in self._operations:
            outcome = self._producer.handle(operation).wait(_TIMEOUT_S)
            if outcome.state is not State.ACCEPTED:
                raise SystemExit(f"a login ended {outcome.state}: {outcome.reason} {outcome.detail}")
        self._operations.clear()

    def latencies(self, count: int, every_s: float) -> list[float]:
        """Return the time from the record of each login to its end, by Redis's clock."""
        handles, began = [], time.perf_counter()
        for number in range(count):
            time.sleep(max(0.0, began + number * every_s - time.perf_counter()))
            handles.append(self._producer.login_with_email(f"late-{number}@example.com", _CODE))
        outcomes = [handle.wait(_TIMEOUT_S) for handle in handles]
        ends = [(one.created_at, one.updated_at) for one in outcomes]
        return [1000 * (end - begin).total_seconds() for begin, end in ends if begin and end]


def measure(make: Callable[[str, Path], Queue], stub: Stub, count: int, idle: int) -> LoginRun:
    """Run one queue once over a new Redis.

    Args:
        make: returns it for a Redis and a directory.
        stub: where it logs in.
        count: how many logins the rate is measured with.
        idle: how many logins the times are measured with.
    """
    with ExitStack() as stack:
        directory = stack.enter_context(scratch())
        url, redis_group = stack.enter_context(redis_server(directory))
        queue = make(url, directory)
        queue.load(count)
        stub.new_answers()
        group = queue.worker(stack)
        times, before = _answer_times(stub, 1), usage([group, redis_group])[0]
        times += _answer_times(stub, count - len(times))
        # The last result is stored after the last answer. Reading the results is not measured.
        time.sleep(_QUIET_S)
        cpu_s = usage([group, redis_group])[0] - before
        queue.settle()
        rate = count / (max(times) - min(times))
        idle_ms = queue.latencies(_WARM_UP + idle, IDLE_EVERY_S)[_WARM_UP:]
        loaded_ms = queue.latencies(_WARM_UP + idle, 1 / (LOAD * rate))[_WARM_UP:]
        return LoginRun(rate, cpu_s / count * 1000, idle_ms, loaded_ms)


def bare_ms(stub: Stub, count: int) -> list[float]:
    """Return the milliseconds of the bare call with one Session."""
    with requests.Session() as session:
        return [
            _timed(lambda: session.post(f"{stub.url(tls=False)}{TOKEN}", json={"otp": _CODE}, timeout=10))
            for _ in range(count)
        ]


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


def _answer_times(stub: Stub, count: int) -> list[float]:
    """Wait for a number of answers, and return when they were given."""
    times: list[float] = []
    give_up = time.monotonic() + _TIMEOUT_S
    while len(times) < count:
        if time.monotonic() > give_up:
            raise SystemExit(f"after {_TIMEOUT_S:g} s only {len(times)} of {count} logins were answered")
        time.sleep(0.02)
        times += [answer.at for answer in stub.new_answers() if answer.path == TOKEN and answer.status == 200]
    return times


def summary(times: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    return {"p50": figures.percentile(times, 0.5), "p99": figures.percentile(times, 0.99)}
