"""SAQ with one aiohttp session a process. `python saq_peer.py COUNT` enqueues."""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

import aiohttp
from redis.asyncio import Redis
from request import CA_FILE, CALLS, REDIS_URL, URL, body, emails
from saq.queue.redis import RedisQueue

# redis-py's pool allows 100 connections by default, and SAQ loses the job when there is none left.
queue = RedisQueue(Redis.from_url(REDIS_URL, max_connections=4 * CALLS))


async def send(context: dict[str, Any], *, email: str) -> None:
    """Ask for a code by e-mail."""
    async with context["session"].post(URL, json=body(email)) as response:
        response.raise_for_status()
        await response.read()


async def open_session(context: dict[str, Any]) -> None:
    """Open the session of the process."""
    trusted = ssl.create_default_context(cafile=CA_FILE)
    context["session"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=trusted))


async def close_session(context: dict[str, Any]) -> None:
    """Close it."""
    await context["session"].close()


settings = {
    "queue": queue,
    "functions": [send],
    "concurrency": CALLS,
    "startup": open_session,
    "shutdown": close_session,
}


async def main(count: int) -> None:
    """Enqueue a hundred at a time."""
    await queue.connect()
    addresses = emails(count)
    for first in range(0, count, 100):
        await asyncio.gather(*(queue.enqueue("send", email=address) for address in addresses[first : first + 100]))
    await queue.disconnect()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
