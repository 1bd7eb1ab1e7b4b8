"""Errors of callers while no Sentinel answers."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from typing import TYPE_CHECKING

import pytest

from gatepost import AsyncProducer, Producer
from gatepost.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.settings import Settings


class HangsUp(socketserver.ThreadingTCPServer):
    """Takes a connection, counts it, and closes it."""

    daemon_threads = True
    calls = 0

    def finish_request(self, *_: object) -> None:
        self.calls += 1


@pytest.fixture
def sentinels() -> Iterator[list[HangsUp]]:
    servers = [HangsUp(("127.0.0.1", 0), socketserver.BaseRequestHandler) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def through(make_settings: Callable[..., Settings], sentinels: list[HangsUp]) -> Settings:
    hosts = ";".join(f"sentinel://127.0.0.1:{server.server_address[1]}" for server in sentinels)
    return make_settings(redis_url=f"{hosts}/0")


def test_a_caller_is_told_after_each_was_asked_a_few_times(through: Settings, sentinels: list[HangsUp]) -> None:
    """Repetitions within repetitions, each longer than the one before, would take half a minute."""
    with Producer(through) as producer, pytest.raises(Unavailable):
        producer.send_email("guest@example.com")

    assert all(1 <= server.calls <= 4 for server in sentinels)


def test_with_asyncio_too(through: Settings, sentinels: list[HangsUp]) -> None:
    """And no connection to a Sentinel stays open."""

    async def look() -> None:
        async with AsyncProducer(through) as producer:
            with pytest.raises(Unavailable):
                await producer.handle("7a0c1c1e-0000-4000-8000-000000000001").outcome()

    asyncio.run(look())

    assert all(1 <= server.calls <= 4 for server in sentinels)
