"""A worker that faults strike at named points: `celery -A support.chaos_worker worker`, with CHAOS_FAULTS in its environment.

The app is the product's own. Only two things around it are wrapped: the process's connections to Redis, through which every step of
an attempt goes as a script of a known name, and Python's clock. So the points need no hooks in the product.

A point is a moment and a call: `before`, `amid` (the command has left, its answer is not read) or `after` one of the scripts' calls
(of an operation: `ready` checks its application, `begin` starts its attempt, then `settle` or `postpone`; of a batch: `claim`, `step`,
`settle-rows`, `release`), `after begin-rows`, `before ack` (the task has returned, its message is not acknowledged), or `before note` (the message has
left the queue, and kombu has not noted that it did).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

# Before all other imports: modules that import names from `time` must get these.
_real_time = time.time
_shift_s = 0.0


def _shifted_time() -> float:
    return _real_time() + _shift_s


time.time = _shifted_time

import redis  # noqa: E402 - as above
from celery import signals  # noqa: E402

from gatepost_core.kinds import Kind  # noqa: E402
from gatepost_core.redis.connections import connect  # noqa: E402
from gatepost_core.redis.quick import QuickConnections  # noqa: E402
from gatepost_worker.celery import app  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_worker.process import Process

_SETTLING: Final = "settle-rows"
_ARRIVAL_S: Final = 30.0
_CHECKED_FROM: Final = 7


@dataclass
class Fault:
    """A fault that happens once at a point, or at several of them together.

    Attributes:
        action: `kill`, `memory` (MemoryError is raised), `famine` (RLIMIT_AS: no more memory), `freeze` (SIGSTOP), or `jump`
            (the clock, by `seconds`).
        points: its places. With several, the first one waits until every point is reached; then all are struck at once.
        seconds: how far the clock jumps.
    """

    action: str
    points: list[str]
    seconds: float = 0.0
    _missing: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _struck: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._missing = list(self.points)

    def reach(self, point: str) -> None:
        """Strike, if this was the last of the points that had not been reached."""
        with self._lock:
            if point not in self._missing:
                return
            self._missing.remove(point)
            complete = not self._missing
        if not complete:
            self._struck.wait(_ARRIVAL_S)
            return
        try:
            _strike(self)
        finally:
            self._struck.set()


def _strike(fault: Fault) -> None:
    global _shift_s  # noqa: PLW0603 - there is one clock
    print(f"chaos: {fault.action} at {', '.join(fault.points)}", flush=True)  # noqa: T201 - the worker's log is its output
    match fault.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "memory":
            raise MemoryError
        case "famine":
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(), resource.RLIM_INFINITY))
        case "jump":
            _shift_s += fault.seconds
        case unknown:
            raise ValueError(unknown)


class Points:
    """The faults of this process, by the points that they strike at."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = faults

    def reach(self, point: str) -> None:
        """Say that a point is reached."""
        for fault in self._faults:
            fault.reach(point)

    def __contains__(self, point: str) -> bool:
        return any(point in fault.points for fault in self._faults)


class StruckRedis(redis.Redis):
    """A client that says which script is about to be called and which was."""

    points: Points

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return _struck_around(
            args,
            self.points,
            self.connection_pool,
            lambda: super(StruckRedis, self).execute_command(*args, **options),  # type: ignore[no-untyped-call] # no hint
        )


def _struck_around(command: tuple[Any, ...], points: Points, pool: Any, execute: Callable[[], Any]) -> Any:
    call = _call_of(command)
    if call is None:
        return execute()
    points.reach(f"before {call}")
    if f"amid {call}" in points:
        pool.get_connection().send_command(*command)
        points.reach(f"amid {call}")
    answer = execute()
    points.reach(f"after {call}")
    if call in {"step", _SETTLING} and answer[0] == b"begun":
        points.reach("after begin-rows")
    return answer


def _strike_around_quick_connections(points: Points) -> None:
    quick: Any = QuickConnections
    ask = quick.ask

    def struck(self: Any, commands: Any) -> Any:
        if commands[0][0] == "ZADD":
            points.reach("before note")
        return _struck_around(commands[0], points, self.pool, lambda: ask(self, commands))

    quick.ask = struck


def _call_of(args: tuple[Any, ...]) -> str | None:
    if args[0] != "EVALSHA":
        return None
    name, *arguments = args[3 + int(args[2]) :] or ("",)
    match name:
        case "attempt":
            # An attempt begins only for an application that the worker has checked. They are its last arguments.
            return "begin" if len(arguments) > _CHECKED_FROM else "ready"
        case "observed":
            # It makes another call: operation, limiter, readings, call.
            return str(arguments[3])
        case "step" if arguments[4]:
            # A batch's step settles the rows that it sent, if any: batch, token, number, lease, settlements.
            return _SETTLING
        case str() if name.startswith(("[", "{")):
            # New operations as JSON.
            return "record"
        case _:
            return str(name)


def _wrap(process: Process, points: Points) -> None:
    client = StruckRedis(connection_pool=connect(process.settings).connection_pool)
    client.points = points
    # A cached property, which any value can replace.
    process.redis = client


def _strike_around_messages(points: Points) -> None:
    def returned(**_: Any) -> None:
        points.reach("before ack")

    signals.task_postrun.connect(returned, weak=False)


def _install() -> None:
    points = Points([Fault(**fault) for fault in json.loads(os.environ.get("CHAOS_FAULTS", "[]"))])
    task: Any = app.tasks[Kind.SEND_EMAIL.task]
    process: Process = task.process
    _wrap(process, points)
    _strike_around_quick_connections(points)
    _strike_around_messages(points)


_install()

__all__ = ["app"]
