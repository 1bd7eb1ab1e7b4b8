"""Taskiq with its Redis list broker and one aiohttp session a process. `python taskiq_peer.py COUNT` enqueues."""

from __future__ import annotations

import asyncio
import ssl
import sys

import aiohttp
from request import CA_FILE, REDIS_URL, URL, body, emails
from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(REDIS_URL)
state = broker.state


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_session(state: TaskiqState) -> None:
    """Open the session of the process."""
    trusted = ssl.create_default_context(cafile=CA_FILE)
    state.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=trusted))


@broker.task
async def send(email: str) -> None:
    """Ask for a code by e-mail."""
    async with state.session.post(URL, json=body(email)) as response:
        response.raise_for_status()
        await response.read()


async def main(count: int) -> None:
    """Enqueue a hundred at a time."""
    await broker.startup()
    addresses = emails(count)
    for first in range(0, count, 100):
        await asyncio.gather(*(send.kiq(address) for address in addresses[first : first + 100]))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
