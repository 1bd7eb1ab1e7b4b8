"""CPU time of one call of the Authentication client, compared with bare requests, against a stub that is never the limit.

    python benchmarks/authentication_client.py [--calls 20000]

One thread, one kept connection, plain HTTP on the loopback; the stub is a separate process, so that only the client's CPU is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import requests

from gatepost_worker.authentication import Configuration, Passwordless

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

START = b'{"_id":"6492b5a75bedeae7449299fa","email":"user@example.com","email_verified":false}'
TOKENS = b'{"access_token":"opaque","expires_in":86400,"token_type":"Bearer","scope":"email"}'
DATE = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").encode()


class _Stub(asyncio.Protocol):
    """Answers every request with the headers that Auth0 sends."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows asyncio's type
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        body = TOKENS if data.startswith(b"POST /oauth") else START
        head = (
            b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n"
            b"Connection: keep-alive\r\nCache-Control: no-store\r\nStrict-Transport-Security: max-age=31536000\r\n"
            b"X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 99\r\nX-RateLimit-Reset: 1900000000\r\n\r\n"
        )
        self.transport.write(head % (DATE, len(body)) + body)


def _serve(ready: Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Stub, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def _measure(name: str, calls: int, call: Callable[[], object]) -> None:
    for _ in range(200):
        call()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        call()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(
        f"{name:<44} {cpu / calls * 1e6:7.0f} us CPU a call   {calls / cpu:7.0f} calls/s/core   {calls / wall:7.0f} calls/s here"
    )


def _compare(base: str, calls: int) -> None:
    body = {
        "client_id": "id",
        "connection": "email",
        "email": "user@example.com",
        "send": "code",
        "client_secret": "secret",
    }
    url = f"{base}/passwordless/start"
    _measure("requests.post", calls // 4, lambda: requests.post(url, json=body, timeout=10))
    with requests.Session() as session:
        _measure("requests.Session", calls, lambda: session.post(url, json=body, timeout=10))
        session.trust_env = False
        _measure("requests.Session, trust_env off", calls, lambda: session.post(url, json=body, timeout=10))
        prepared = session.prepare_request(requests.Request("POST", url, data=json.dumps(body)))
        adapter = session.get_adapter(url)
        _measure("HTTPAdapter.send of one prepared request", calls, lambda: adapter.send(prepared, timeout=10).content)
    with Passwordless(
        domain="tenant.example.com",
        client_id="id",
        client_secret="secret",  # noqa: S106 - made up
        configuration=Configuration(base_url=base),
    ) as client:
        _measure("Passwordless.send_email", calls, lambda: client.send_email("user@example.com"))
        _measure(
            "Passwordless.login_with_email (no id_token)",
            calls,
            lambda: client.login_with_email("user@example.com", "123456"),
        )


def main() -> None:
    """Start the stub and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    calls = parser.parse_args().calls
    here, there = multiprocessing.Pipe()
    stub = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    stub.start()
    try:
        _compare(f"http://127.0.0.1:{here.recv()}", calls)
    finally:
        stub.terminate()
        stub.join()


if __name__ == "__main__":
    main()
