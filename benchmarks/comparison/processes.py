"""Programs in process groups: start and end them, and read their CPU time and memory."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
AUTOGROUP: Final = Path("/proc/sys/kernel/sched_autogroup_enabled")


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path) -> Iterator[int]:
    """Run a program in its own process group, with its output in a file, and return the group.

    It stays in the harness's session: where autogroup scheduling is on, a new session would be a scheduling group without the harness's nice.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        yield process.pid
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the group: all figures are taken, and the shutdown of a program is not measured."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(command: Sequence[str], environment: Mapping[str, str], directory: Path, *, timeout: float = 600) -> str:
    """Run a program to its end, and return its output.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(
        command, env=dict(environment), cwd=directory, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return done.stdout


def usage(groups: Sequence[int]) -> tuple[float, float]:
    """Return the CPU seconds and the resident MiB of all processes of some groups."""
    ticks = pages = 0
    wanted = {str(group) for group in groups}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[2] in wanted:
            ticks += int(fields[11]) + int(fields[12])
            pages += int(fields[21])
    return ticks / _TICKS, pages * _PAGE / 2**20


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield an empty directory that is removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="gatepost-bench-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def redis_server(directory: Path) -> Iterator[tuple[str, int]]:
    """Run a Redis with an append-only file, and return its URL and process group."""
    path = shutil.which("redis-server")
    if path is None:
        raise SystemExit("redis-server is missing: apt-get install redis-server")
    (port,) = free_ports(1)
    command = [
        path,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--appendonly",
        "yes",
        "--save",
        "",
        "--dir",
        str(directory),
    ]
    command += ["--maxmemory-policy", "noeviction"]
    with started(command, os.environ, directory, directory / "redis.log") as group:
        url = f"redis://127.0.0.1:{port}/0"
        with redis.Redis.from_url(url) as client:
            _wait_for(client)
        yield url, group


def _wait_for(client: redis.Redis) -> None:
    for _ in range(200):
        try:
            client.ping()
        except redis.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("redis-server did not start")


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback address that are free."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def raise_priority() -> str:
    """Raise the priority of the harness and of its children as far as permitted, and return a sentence about it."""
    parts = []
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
        parts.append("nice -10")
    except PermissionError:
        parts.append(f"nice {os.getpriority(os.PRIO_PROCESS, 0)}, raising it is not permitted")
    if AUTOGROUP.exists() and AUTOGROUP.read_text(encoding="utf-8").strip() == "1":
        try:
            Path("/proc/self/autogroup").write_text("-10", encoding="utf-8")
            parts.append("autogroup scheduling is on, the session's nice is -10")
        except OSError:
            parts.append("autogroup scheduling is on, and raising the session is not permitted")
    else:
        parts.append("autogroup scheduling is off")
    return "; ".join(parts)
