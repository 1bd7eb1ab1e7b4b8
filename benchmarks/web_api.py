"""Measure the HTTP API: messages a second in requests of 100 and in single requests, and the time of a single login at half of that rate.

    python benchmarks/web_api.py [--seconds 10]

The server is one process with one interpreter lock. Its CPU time for each message is the figure that a busy machine changes least: with a whole
core, the server takes one second of it for `1 / cpu` messages. The load comes from this process over keep-alive connections.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gatepost_core.sealing import Key
from gatepost_operations.local.embedded_valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Iterator

GATEPOST = [sys.executable, "-m", "gatepost_operations.cli"]
BATCH = 100
CONNECTIONS = 8
TARGETS = {"batch": 1000, "single": 300}
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def served(directory: Path) -> Iterator[tuple[int, str, str]]:
    """Start Valkey and the api; give its process, its address and a key without limits that matter."""
    with EmbeddedValkey(directory / "valkey") as valkey:
        environment = {
            **os.environ,
            "GATEPOST_REDIS_URL": valkey.url,
            "GATEPOST_SEALING_KEYS": Key.new("benchmark").reveal(),
            "GATEPOST_FINGERPRINT_KEY": "a fingerprint key for benchmarks alone",
            "AUTH0_DOMAIN": "localhost:1",
            "AUTH0_CLIENT_ID": "client",
            "AUTH0_CLIENT_SECRET": "secret",
        }
        limits = ["--per-hour", "100000000", "--per-recipient", "100000000"]
        kinds = ["--kind", "send_email", "--kind", "login_with_email"]
        made = subprocess.run(
            [*GATEPOST, "api-keys", "create", "load", *kinds, *limits],
            env=environment, cwd=directory, capture_output=True, text=True, check=True,
        )  # fmt: skip
        command = [*GATEPOST, "web", "--role", "api", "--port", "0"]
        with subprocess.Popen(command, env=environment, cwd=directory, stdout=subprocess.PIPE, text=True) as process:
            url = process.stdout.readline().split()[1] if process.stdout else ""
            try:
                yield process.pid, urlsplit(url).netloc, made.stdout.strip()
            finally:
                process.terminate()


def cpu_s(pid: int) -> float:
    """The CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Load:
    """Sends requests over keep-alive connections, and notes how long each takes."""

    def __init__(self, address: str, key: str) -> None:
        self.host, _, port = address.partition(":")
        self.port, self.key = int(port), key
        self.times: list[float] = []
        self.sent = 0

    def request(self, path: str, body: Any) -> bytes:
        """One request."""
        text = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.key}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text

    async def run(self, path: str, size: int, seconds: float, rate: float | None = None) -> None:
        """Send for a time, as fast as the server answers or at a rate of requests a second."""
        self.times.clear()
        self.sent = 0
        begun = time.perf_counter()
        starts = itertools.count()

        async def connection() -> None:
            reader, writer = await asyncio.open_connection(self.host, self.port)
            for number in starts:
                due = begun + (number / rate if rate else 0)
                if max(due, time.perf_counter()) > begun + seconds:
                    break
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                writer.write(self.request(path, items_of(path, number, size)))
                # From when it was due: a late start is a wait too.
                start = due if rate else time.perf_counter()
                await read_answer(reader)
                self.times.append(time.perf_counter() - start)
                self.sent += size
            writer.close()

        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


def items_of(path: str, number: int, size: int) -> Any:
    """The body of a request."""
    code = {"code": "123456"} if "logins" in path else {}
    items = [{"email": f"p{number}-{one}@example.com", **code} for one in range(size)]
    return items[0] if size == 1 else items


async def read_answer(reader: asyncio.StreamReader) -> None:
    """Read one answer, which must be 202."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 202 " not in head[:20]:
        sys.exit(head.decode())
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))


def percentile(times: list[float], share: float) -> float:
    """Milliseconds within which this share of the requests was answered."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000


async def measure(pid: int, load: Load, seconds: float) -> dict[str, Any]:
    """Run the three loads."""
    await load.run("/v1/messages", 1, 1)
    found: dict[str, Any] = {}
    for name, size in (("batch", BATCH), ("single", 1)):
        before, started = cpu_s(pid), time.perf_counter()
        await load.run("/v1/messages", size, seconds)
        taken, cpu = time.perf_counter() - started, cpu_s(pid) - before
        found[name] = {"a_second": load.sent / taken, "cpu_ms": cpu / load.sent * 1000, "a_core": load.sent / cpu}
    rate = TARGETS["single"] / 2
    await load.run("/v1/logins", 1, seconds, rate)
    found["login"] = {"rate": rate, "p50_ms": percentile(load.times, 0.5), "p99_ms": percentile(load.times, 0.99)}
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as (pid, address, key):
        found = asyncio.run(measure(pid, Load(address, key), seconds))
    for kind, target in TARGETS.items():
        one = found[kind]
        print(
            f"{kind:7} {one['a_second']:7,.0f} messages/s here, {one['cpu_ms']:.3f} ms CPU a message: "
            f"{one['a_core']:,.0f} on a core (target {target:,})"
        )
    login = found["login"]
    print(
        f"logins  at {login['rate']:.0f}/s: p50 {login['p50_ms']:.1f} ms, p99 {login['p99_ms']:.1f} ms (target 20 ms)"
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
