"""One run of one contender: its recipients are loaded, two worker processes send to the stub, and the stub's log is the measure."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import redis

from comparison import figures
from comparison.processes import redis_server, scratch, usage
from comparison.stub import START

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from comparison.runners import Contender
    from comparison.stub import Stub

BIN_S: Final = 0.25
_POLL_S: Final = 0.05
_USAGE_EVERY: Final = 10
_SILENCE_S: Final = 60.0
_LOG_CHARACTERS: Final = 2_000


@dataclass(frozen=True)
class BulkRun:
    """The figures of one run.

    Attributes:
        recipients: how many.
        rate: recipients a second from the first answer to the last.
        cpu_s_per_1000: of workers and Redis, from the first answer until all was settled.
        redis_bytes: memory of one loaded recipient in Redis; None without a queue.
        worker_mib: most memory of the workers together.
        ramp_s: seconds until 80 % of the plateau.
        tail_s: seconds at the end under 50 % of the plateau.
        bins: recipients a second in each quarter of a second.
        memory: the MiB of the workers and of Redis over time, as `(seconds, workers, Redis)`.
    """

    recipients: int
    rate: float
    cpu_s_per_1000: float
    redis_bytes: float | None
    worker_mib: float
    ramp_s: float | None
    tail_s: float | None
    bins: list[float] = field(default_factory=list)
    memory: list[tuple[float, float, float]] = field(default_factory=list)


def measure(make: Callable[[str, Path], Contender], stub: Stub, count: int) -> BulkRun:
    """Run a contender once over a new Redis.

    Args:
        make: returns it for a Redis and a directory.
        stub: where it sends.
        count: how many recipients.

    Raises:
        SystemExit: an answer was no 200, a recipient got no request or several, or nothing happened for a minute.
    """
    with ExitStack() as stack:
        directory = stack.enter_context(scratch())
        url, redis_group = stack.enter_context(redis_server(directory))
        contender = make(url, directory)
        empty = _used(url)
        contender.load(count)
        redis_bytes = (_used(url) - empty) / count if contender.has_queue else None
        stub.new_answers()
        watch = _Watch(contender.workers(stack), redis_group, url)
        try:
            times = _follow(contender, stub, count, watch)
        except SystemExit as error:
            raise SystemExit(f"{error}\n{ends_of_logs(directory)}") from None
        cpu_s = watch.cpu_s()
    bins = figures.rates(times, BIN_S, min(times))
    return BulkRun(
        recipients=count,
        rate=count / (max(times) - min(times)),
        cpu_s_per_1000=cpu_s / count * 1000,
        redis_bytes=redis_bytes,
        worker_mib=max(workers for _, workers, _ in watch.memory),
        ramp_s=figures.ramp_s(bins, BIN_S),
        tail_s=figures.tail_s(bins, BIN_S),
        bins=[round(each) for each in bins],
        memory=watch.memory,
    )


class _Watch:
    """The CPU time since the first answer, and the memory over time."""

    def __init__(self, groups: list[int], redis_group: int, redis_url: str) -> None:
        self._groups = groups
        self._redis_group = redis_group
        self._redis_url = redis_url
        self._at_first = 0.0
        self._began = time.monotonic()
        self.memory: list[tuple[float, float, float]] = []

    def begin(self) -> None:
        """Note the CPU time of the first answer."""
        self._at_first = self._cpu_s()
        self._began = time.monotonic()

    def cpu_s(self) -> float:
        """Return the CPU seconds since the first answer."""
        return self._cpu_s() - self._at_first

    def note(self) -> None:
        """Add the memory of this moment."""
        at = max(0.0, time.monotonic() - self._began)
        self.memory.append((round(at, 2), round(usage(self._groups)[1], 1), round(_used(self._redis_url) / 2**20, 1)))

    def _cpu_s(self) -> float:
        return usage([*self._groups, self._redis_group])[0]


def _follow(contender: Contender, stub: Stub, count: int, watch: _Watch) -> list[float]:
    """Watch until every recipient is settled, and return the times of the answers."""
    times: list[float] = []
    last = time.monotonic()
    for turn in range(sys.maxsize):
        new = _start_times(stub)
        if new and not times:
            watch.begin()
            watch.memory.clear()
        if new:
            last = time.monotonic()
        times += new
        if turn % _USAGE_EVERY == 0:
            watch.note()
        if len(times) >= count and contender.settled():
            break
        if time.monotonic() > last + _SILENCE_S:
            raise SystemExit(f"{len(times)} of {count} requests were answered, and then none for {_SILENCE_S:g} s")
        time.sleep(_POLL_S)
    watch.note()
    times += _start_times(stub)
    if len(times) != count:
        raise SystemExit(f"{len(times)} requests for {count} recipients")
    return times


def _start_times(stub: Stub) -> list[float]:
    """Return the times of the new answers to starts.

    Raises:
        SystemExit: an answer was no 200.
    """
    answers = [answer for answer in stub.new_answers() if answer.path == START]
    wrong = next((answer for answer in answers if answer.status != 200), None)
    if wrong is not None:
        raise SystemExit(f"the stub answered {wrong.status}")
    return [answer.at for answer in answers]


def ends_of_logs(directory: Path) -> str:
    """Return the ends of the logs of a run's workers."""
    logs = sorted(directory.glob("worker*.log"))
    return "\n".join(log.read_text(encoding="utf-8", errors="replace")[-_LOG_CHARACTERS:] for log in logs)


def _used(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("memory")["used_memory"])
