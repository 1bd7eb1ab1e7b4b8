"""What integration tests of the worker share: its app, and a Redis without memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis
    from celery import Celery

    from gatepost_core.settings import Settings


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    """The worker's app, with the test's settings."""
    made = import_module("gatepost_worker.celery").create(settings)
    yield made
    made.close()


@pytest.fixture
def fill(redis_client: redis.Redis) -> Iterator[Callable[[], None]]:
    """Leaves Redis without memory until the test is over."""

    def fill() -> None:
        redis_client.config_set("maxmemory", 1)

    yield fill
    redis_client.config_set("maxmemory", 0)
