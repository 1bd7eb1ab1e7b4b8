"""Calls on connections that have died meanwhile, as after a restart or a failover of Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from chaos_proxy import Proxy
from gatepost import AsyncProducer, Producer, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.embedded import EmbeddedValkey
    from gatepost.settings import Settings


@pytest.fixture
def proxy(valkey: EmbeddedValkey) -> Iterator[Proxy]:
    with Proxy(valkey.port) as ready:
        yield ready


@pytest.fixture
def through_proxy(settings: Settings, proxy: Proxy) -> Settings:
    """Settings that lead to the test's Valkey through the proxy."""
    return settings.model_copy(update={"redis_url": SecretStr(f"redis://127.0.0.1:{proxy.port}/0")})


def test_a_producer_does_not_notice_that_its_connections_have_died(through_proxy: Settings, proxy: Proxy) -> None:
    """The first request after a restart of Redis is as good as any other."""
    with Producer(through_proxy) as producer:
        first = producer.send_email("guest@example.com")
        proxy.cut_all()
        second = producer.send_email("guest@example.com")
        proxy.cut_all()

        assert [first.state(), second.state()] == [State.QUEUED, State.QUEUED]


def test_an_asyncio_producer_does_not_notice_it_either(through_proxy: Settings, proxy: Proxy) -> None:
    """The same on an event loop, waiting included."""

    async def cancelled_behind_its_back() -> State:
        async with AsyncProducer(through_proxy) as producer:
            handle = await producer.send_email("guest@example.com")
            await asyncio.to_thread(proxy.cut_all)
            await handle.cancel()
            await asyncio.to_thread(proxy.cut_all)
            return (await handle.wait(30)).state

    assert asyncio.run(cancelled_behind_its_back()) is State.CANCELLED
