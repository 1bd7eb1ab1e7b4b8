"""How many calls a worker makes at once, and the connections kept for them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gatepost_core.settings import Settings
from gatepost_worker.celery_guard.options import slots_of
from gatepost_worker.process import Process


@pytest.fixture
def process() -> Process:
    fields = {"AUTH0_DOMAIN": "localhost:1", "AUTH0_CLIENT_ID": "client", "AUTH0_CLIENT_SECRET": "s3cret"}
    return Process(Settings(**fields))


def test_every_slot_has_a_connection_to_auth0(process: Process) -> None:
    """`--concurrency 300` keeps 300, whatever GATEPOST_CONCURRENCY says."""
    process.slots = 300

    client = process.clients.of("default")

    assert client._configuration.pool_size == 300


@pytest.mark.parametrize(("concurrency", "slots"), [(300, 300), ("300", 300)])
def test_a_worker_says_how_many_slots_it_has(concurrency: int | str, slots: int) -> None:
    """On the command line it is a text."""
    assert slots_of(SimpleNamespace(concurrency=concurrency)) == slots


def test_auto_is_a_number_of_slots_too() -> None:
    """Celery resolves it after the worker's parts are made."""
    assert slots_of(SimpleNamespace(concurrency="auto")) >= 1
