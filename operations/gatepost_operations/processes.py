"""Child processes of a command: how they are called, started, watched and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Final

from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.kinds import Queue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gatepost_core.redis.keys import RedisKeys

# A warm shutdown finishes the calls under way; the longest is an SMS.
_GRACE_S: Final = 45.0


def worker_command(
    queues: Sequence[str],
    *,
    name: str,
    keys: RedisKeys,
    concurrency: int | None = None,
    beat: bool = False,
    level: str | None = None,
) -> list[str]:
    """Return the command line of one Celery worker.

    Args:
        queues: of `login`, `send` and `bulk`.
        name: tells it from the other workers of this host.
        keys: the names on the broker.
        concurrency: threads; the settings' own when absent.
        beat: run the schedule inside.
        level: log level; the settings' own when absent.

    Raises:
        InvalidCommand: there is no queue of that name.
    """
    known = {queue.value: keys.queue(queue) for queue in Queue}
    asked = [queue.strip().removeprefix(f"{keys.namespace}.") for queue in queues]
    if unknown := [queue for queue in asked if queue not in known]:
        raise InvalidCommand(
            [FieldError("queues", f"has no queue named {', '.join(unknown)}; there are {', '.join(known)}")]
        )
    options = ["-Q", ",".join(known[queue] for queue in asked), "-n", f"gatepost-{'-'.join(asked)}-{name}@%h"]
    if concurrency:
        options += ["-c", str(concurrency)]
    if beat:
        options.append("-B")
    if level:
        options += ["-l", level]
    return [
        *_celery("worker"),
        "-P",
        "threads",
        "--without-gossip",
        "--without-mingle",
        *options,
    ]


def beat_command(schedule: Path) -> list[str]:
    """Return the command line of Celery beat, which makes the reconciler run; `schedule` is its own file."""
    return [*_celery("beat"), "-s", str(schedule)]


def simulator_command(directory: Path, *, port: int = 0) -> list[str]:
    """Return the command line of a simulator over https, which ends when its standard input does."""
    options = ["--tls", "--json", "--until-stdin-closes", "--port", str(port), "--cert-dir", str(directory)]
    return [sys.executable, "-m", "gatepost_simulator", *options]


def _celery(program: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--quiet", "-A", "gatepost_worker", program]


class Child:
    """One child process, in a session of its own: Ctrl-C in the terminal does not reach it, its parent ends it.

    Args:
        name: what its parent calls it.
        command: its command line.
        environment: all of its environment.
        directory: where it runs.
        stdout: an open file, or `subprocess.PIPE`.
        stderr: likewise; with its standard output when absent.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        stdout: IO[str] | int = subprocess.PIPE,
        stderr: IO[str] | int = subprocess.STDOUT,
    ) -> None:
        self.name = name
        self.process: subprocess.Popen[str] = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            list(command),
            # A pipe that ends with us: the simulator ends when its standard input does.
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            env=dict(environment),
            cwd=directory,
            start_new_session=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )

    @property
    def output(self) -> IO[str]:
        """Its standard output, when that is a pipe."""
        if self.process.stdout is None:
            raise AssertionError("its output goes to a file")
        return self.process.stdout

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End it and whatever it started, at once (SIGKILL)."""
        if self.alive:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._close()

    def ask_to_end(self) -> None:
        """Ask it to finish what is under way and end (SIGTERM)."""
        if self.alive:
            self.process.terminate()

    def wait_or_kill(self, grace_s: float) -> None:
        """Wait for its end; after the grace, end it."""
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._close()

    def _close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


class Children:
    """Children of one command that end together. A second Ctrl-C does not wait for them."""

    def __init__(self, grace_s: float = _GRACE_S) -> None:
        self._children: list[Child] = []
        self._grace_s = grace_s

    def add(self, child: Child) -> Child:
        """Watch one more."""
        self._children.append(child)
        return child

    def kill(self, child: Child) -> None:
        """End one of them at once, as a crash would, and forget it."""
        child.kill()
        self._children.remove(child)

    def dead(self) -> Child | None:
        """Return one that ended by itself, if any did."""
        return next((child for child in self._children if not child.alive), None)

    def stop(self) -> None:
        """End all."""
        try:
            for child in self._children:
                child.ask_to_end()
            for child in self._children:
                child.wait_or_kill(self._grace_s)
        except KeyboardInterrupt:
            for child in self._children:
                child.kill()
            raise
        finally:
            self._children.clear()
