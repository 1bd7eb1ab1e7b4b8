"""Starts a second that the simulator answers on one core; it must never limit a benchmark.

The client is a handful of keep-alive connections which each send the next start when the last one is answered. The
simulator is one process and one thread, so its CPU time says what one undisturbed core would do, whatever else this
machine is busy with.

Run it with: python benchmarks/simulator_throughput.py [--starts 40000] [--connections 32] [--tls]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import uvloop

from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator


class StartClient(asyncio.Protocol):
    """One connection that always has exactly one start in flight."""

    def __init__(self, requests: Iterator[bytes], finished: asyncio.Future[None]) -> None:
        self._requests = requests
        self._finished = finished
        self._transport: asyncio.WriteTransport | None = None
        self.accepted = 0
        self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first start."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count the answer (a small one comes in two writes) and send the next start."""
        if data.startswith(b"HTTP/1.1 "):
            self.accepted += data[9:12] == b"200"
            self.refused += data[9:12] != b"200"
        if data.endswith(b"}"):
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail loudly if the simulator closed the connection."""
        if not self._finished.done():
            self._finished.set_exception(exc or ConnectionError("the simulator closed a connection"))

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is not None and self._transport is not None:
            self._transport.write(request)
        elif not self._finished.done():
            self._finished.set_result(None)


def requests_of(starts: int, host: str) -> Iterator[bytes]:
    """Return the bytes of a number of starts, each for a different recipient."""
    for number in range(starts):
        body = json.dumps(
            {
                "client_id": DEV_CLIENT_ID,
                "client_secret": DEV_CLIENT_SECRET,
                "connection": "email",
                "email": f"recipient-{number}@example.com",
                "send": "code",
            }
        ).encode()
        head = f"POST /passwordless/start HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        yield head.encode() + body


async def drive(server: SimulatorServer, starts: int, connections: int) -> list[StartClient]:
    """Send all starts over a number of connections."""
    address = urlsplit(server.url)
    assert address.port  # noqa: S101 - the server always names its port
    context = ssl.create_default_context(cafile=server.ca_file) if server.ca_file else None
    requests = requests_of(starts, address.netloc)
    loop = asyncio.get_running_loop()
    finished = [loop.create_future() for _ in range(connections)]
    clients = [StartClient(requests, done) for done in finished]
    for client in clients:
        await loop.create_connection(
            lambda client=client: client,
            "127.0.0.1",
            address.port,
            ssl=context,
            server_hostname="localhost" if context else None,
        )
    await asyncio.gather(*finished)
    return clients


def cpu_seconds(process_id: int) -> float:
    """Return the CPU time that a process has used (Linux)."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    user, system = fields[11], fields[12]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--starts", type=int, default=40_000)
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--tls", action="store_true")
    chosen = options.parse_args()
    with SimulatorServer(tls=chosen.tls, quota={"plan": "unlimited"}) as server:
        uvloop.run(drive(server, 2_000, chosen.connections))
        before, began = cpu_seconds(server.process_id), time.perf_counter()
        clients = uvloop.run(drive(server, chosen.starts, chosen.connections))
        seconds, cpu = time.perf_counter() - began, cpu_seconds(server.process_id) - before
        accepted, refused = sum(each.accepted for each in clients), sum(each.refused for each in clients)
        counts = server.control.counts()
    print(f"accepted {accepted:,}, refused {refused:,}; outbox holds {counts['total']:,} messages")
    print(f"wall      {accepted / seconds:10,.0f} starts/s")
    print(f"one core  {accepted / cpu:10,.0f} starts/s ({cpu / accepted * 1e6:.0f} us of CPU each)")


if __name__ == "__main__":
    main()
