"""Calls whose connection is cut before, amid or after them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost import AsyncProducer, Producer, State
from gatepost_core.kinds import Kind
from support.chaos_proxy import CUTS, NO_ANSWER, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_core.settings import Settings
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey


@pytest.fixture
def proxy(valkey: EmbeddedValkey) -> Iterator[Proxy]:
    with Proxy(valkey.port) as ready:
        yield ready


@pytest.fixture
def through_proxy(settings: Settings, proxy: Proxy) -> Settings:
    """Settings that lead to the test's Valkey through the proxy."""
    return settings.model_copy(update={"redis_url": SecretStr(f"redis://127.0.0.1:{proxy.port}/0")})


@pytest.mark.parametrize("place", CUTS)
def test_a_recording_whose_connection_is_cut_is_made_once(through_proxy: Settings, proxy: Proxy, place: str) -> None:
    """Wherever it was cut, the caller gets a handle, and there is one operation."""
    with Producer(through_proxy) as producer:
        producer.send_email("first@example.com")
        proxy.cut_next(b"EVALSHA", place)
        handle = producer.send_email("guest@example.com")

        assert handle.state() is State.QUEUED
        assert producer.ledger.counts() == {(Kind.SEND_EMAIL, State.QUEUED): 2}
    assert proxy.cuts == 1


def test_an_asyncio_producers_reading_is_repeated_too(through_proxy: Settings, proxy: Proxy) -> None:
    """The wait for the end uses one connection, and the lookup another."""

    async def cancelled() -> State:
        async with AsyncProducer(through_proxy) as producer:
            handle = await producer.send_email("guest@example.com")
            await handle.cancel()
            proxy.cut_next(b"HMGET", NO_ANSWER)
            return (await handle.wait(120)).state

    assert asyncio.run(cancelled()) is State.CANCELLED
    assert proxy.cuts == 1
