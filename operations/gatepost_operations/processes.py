"""Start, watch and stop the child processes of a command."""

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

# A warm shutdown finishes the calls in flight. The longest call is an SMS.
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
        queues: `login`, `send`, `bulk` and `webhooks`, or some of them.
        name: the worker's name, unique on this host.
        keys: the names on the broker.
        concurrency: the number of threads [default: from the settings].
        beat: run Celery beat in the worker.
        level: the log level [default: from the settings].

    Raises:
        InvalidCommand: there is no queue of this name.
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
    """Return the command line of Celery beat, which starts the reconciler. Beat keeps its state in `schedule`."""
    return [*_celery("beat"), "-s", str(schedule)]


def simulator_command(directory: Path, *, port: int = 0) -> list[str]:
    """Return the command line of a simulator with https. It ends when its standard input closes."""
    options = ["--tls", "--json", "--until-stdin-closes", "--port", str(port), "--cert-dir", str(directory)]
    return [sys.executable, "-m", "gatepost_simulator", *options]


def _celery(program: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--quiet", "-A", "gatepost_worker", program]


class Child:
    """A child process in a separate session. Ctrl-C in the terminal does not reach it, so its parent must stop it.

    Args:
        name: its name in messages.
        command: its command line.
        environment: its complete environment.
        directory: its working directory.
        stdout: an open file, or `subprocess.PIPE`.
        stderr: an open file, or `subprocess.PIPE` [default: standard output].
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
            # The pipe closes with this process, and the simulator ends with the pipe.
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

    def read_line(self) -> str:
        """Return the next line of standard output, or an empty string if there is none."""
        return self.process.stdout.readline() if self.process.stdout else ""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    @property
    def ending(self) -> str:
        """How the process ended: `ended with exit code 1`, `was killed (SIGKILL)`."""
        code = self.process.poll()
        if code is None:
            return "runs"
        return f"ended with exit code {code}" if code >= 0 else f"was killed ({signal.Signals(-code).name})"

    def kill(self) -> None:
        """Kill the process and its children (SIGKILL)."""
        if self.alive:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._close()

    def terminate(self) -> None:
        """Ask the process to finish its work and exit (SIGTERM)."""
        if self.alive:
            self.process.terminate()

    def wait_or_kill(self, grace_s: float) -> None:
        """Wait for the exit, and kill the process after the grace period."""
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
    """The child processes of a command, which stop together. A second Ctrl-C kills them."""

    def __init__(self, grace_s: float = _GRACE_S) -> None:
        self._children: list[Child] = []
        self._grace_s = grace_s

    def add(self, child: Child) -> Child:
        """Add a child, and return it."""
        self._children.append(child)
        return child

    def kill(self, child: Child) -> None:
        """Kill a child, as a crash would, and remove it."""
        child.kill()
        self._children.remove(child)

    def replace(self, child: Child, successor: Child) -> None:
        """Put another child in the place of one that ended."""
        child.kill()
        self._children[self._children.index(child)] = successor

    def dead(self) -> Child | None:
        """Return a child that ended by itself, if there is one."""
        return next((child for child in self._children if not child.alive), None)

    def stop(self) -> None:
        """Stop all children."""
        try:
            for child in self._children:
                child.terminate()
            for child in self._children:
                child.wait_or_kill(self._grace_s)
        except KeyboardInterrupt:
            for child in self._children:
                child.kill()
            raise
        finally:
            self._children.clear()
