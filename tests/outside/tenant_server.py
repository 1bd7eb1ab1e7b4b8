"""The stub tenant's process: HTTP/1.1 on the loopback over a shared quota. `tenant.py` starts it and documents the scenario.

It prints two ports: the tenant's, and one for control, where `/seconds` gives the counts and `/run` takes a scenario, with which the clock,
the bucket and the counts begin anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import sys
import time
from typing import Any

from shared_quota import SharedQuota

ACCEPTED = b'{"_id":"65f0c0ffee","email":"user@example.com","email_verified":false}'
REFUSED = b'{"error":"bad.email","error_description":"error in email - email format validation failed"}'
TOO_MANY = b'{"error":"too_many_requests","error_description":"Too many requests"}'
REASONS = {200: b"OK", 400: b"Bad Request", 429: b"Too Many Requests"}
NETWORK_S = 0.02
INSTANT_S = 0.001


class Tenant:
    """One run: a quota, a network and the scenario's faults."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.scenario = scenario
        self.chance = random.Random(scenario["seed"])  # noqa: S311 - a made-up network
        self.quota = SharedQuota(scenario["limit"], scenario["refill"], scenario["foreign"], scenario["seed"])
        self.started = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self.started

    def latency(self) -> float:
        match self.scenario["latency"]:
            case ["constant", seconds]:
                return float(seconds)
            case ["uniform", low, high]:
                return self.chance.uniform(low, high)
            case ["lognormal", median, p99]:
                return self.chance.lognormvariate(math.log(median), math.log(p99 / median) / 2.3263)
            case ["bimodal", fast, slow, share_slow]:
                return float(slow if self.chance.random() < share_slow else fast)
        raise ValueError(f"no such latency: {self.scenario['latency']}")

    def closes(self, share: str) -> bool:
        return self.chance.random() < self.scenario[share]

    def is_refused(self, address: str) -> bool:
        # By address, so that an attempt that is repeated ends alike.
        digest = hashlib.sha256(address.encode()).digest()
        return int.from_bytes(digest[:4]) / 2**32 < self.scenario["refused_share"]

    def rate_limit_headers(self, *, granted: bool) -> bytes:
        bucket = self.quota.bucket
        wait = bucket.next_token_in()
        headers = {
            "X-RateLimit-Limit": bucket.size,
            "X-RateLimit-Remaining": math.floor(bucket.tokens),
            "X-RateLimit-Reset": math.ceil(time.time() + wait),
        }
        if not granted:
            headers["Retry-After"] = max(1, math.ceil(wait))
        headers.update(self.scenario["headers"])
        return "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None).encode()


class Connection(asyncio.Protocol):
    """One connection: requests in turn, each with a body of a stated length."""

    tenant: Tenant

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.split(b"\r\n")
        fields = dict(line.lower().split(b":", 1) for line in lines[1:])
        length = int(fields.get(b"content-length", b"0"))
        if len(rest) >= length:
            self._buffer = rest[length:]
            self._request(lines[0].split()[1], rest[:length])

    def _request(self, path: bytes, body: bytes) -> None:
        raise NotImplementedError

    def _write(self, status: int, headers: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %d %b\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n%b\r\n"
        self._transport.write(head % (status, REASONS[status], len(body), headers) + body)


class Control(Connection):
    """The harness's side."""

    def _request(self, path: bytes, body: bytes) -> None:
        if path == b"/run":
            Connection.tenant = Tenant(json.loads(body))
        self._write(200, b"", json.dumps(self.tenant.quota.as_json(self.tenant.now())).encode())


class AuthenticationApi(Connection):
    """The tenant's side: every path is a call that costs a token."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.tenant.closes("closed_connections"):
            self._close()

    def _request(self, path: bytes, body: bytes) -> None:  # noqa: ARG002 - all calls are alike
        if self.tenant.closes("closed_requests"):
            self._close()
        else:
            self._call(self.tenant, json.loads(body))

    def _call(self, tenant: Tenant, body: dict[str, Any]) -> None:
        address = str(body.get("email") or body.get("phone_number") or body.get("username") or "")
        refused = tenant.is_refused(address)
        latency = INSTANT_S if refused else tenant.latency()
        network = min(latency / 2, NETWORK_S)
        loop = asyncio.get_running_loop()

        def decide() -> None:
            granted = tenant.quota.ours(tenant.now(), address.rpartition("@")[2])
            tenant.quota.seconds[-1].ours_refused += granted and refused
            status, answer = (400, REFUSED) if refused else (200, ACCEPTED)
            if not granted:
                status, answer = 429, TOO_MANY
            headers = tenant.rate_limit_headers(granted=granted)
            # A 429 needs the network alone.
            loop.call_later(latency - network if granted else network, self._write, status, headers, answer)

        loop.call_later(network, decide)

    def _close(self) -> None:
        self.tenant.quota.advance(self.tenant.now()).ours_closed += 1
        self._transport.abort()


async def serve(scenario: dict[str, Any]) -> None:
    Connection.tenant = Tenant(scenario)
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(side, "127.0.0.1", 0) for side in (AuthenticationApi, Control)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)  # noqa: T201 - read by its parent
    # Ends with the process that started it.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
