"""Campaigns against a real Valkey and the simulator; the queue is a list that tests read and change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from support.campaign_parts import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.settings import Settings


@pytest.fixture(scope="session")
def unlimited_simulator() -> Iterator[SimulatorServer]:
    """A simulator over plain http, without limits."""
    with SimulatorServer(quota={"plan": "unlimited"}, slow_s=0.3) as server:
        yield server


@pytest.fixture
def simulator(unlimited_simulator: SimulatorServer) -> SimulatorServer:
    """The session's simulator, reset for this test."""
    unlimited_simulator.control.reset()
    return unlimited_simulator


@pytest.fixture
def make_bench(make_settings: Callable[..., Settings], simulator: SimulatorServer) -> Iterator[Callable[..., Bench]]:
    """Make a bench whose settings lead to Valkey and the simulator; keywords change the settings."""
    benches = []

    def make(**given: object) -> Bench:
        fields: dict[str, object] = {
            "auth0_domain": simulator.domain,
            "auth0_base_url": simulator.url,
            "auth0_client_id": DEV_CLIENT_ID,
            "auth0_client_secret": DEV_CLIENT_SECRET,
            "email_deadline": 3,
            "sms_deadline": 3,
            "lease_margin": 1,
            "republish_after": 5,
        }
        bench = Bench(make_settings(**{**fields, **given}))
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A bench with the usual settings."""
    return make_bench()
