"""A simulator in a thread, over real HTTP, and a client that speaks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost_simulator.server import SimulatorServer
from support.tenant_client import TenantClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_simulator.control import ControlClient


@pytest.fixture(scope="module")
def running_simulator() -> Iterator[SimulatorServer]:
    """One simulator for a module, without limits."""
    with SimulatorServer(in_thread=True, quota={"plan": "unlimited"}, slow_s=0.3) as server:
        yield server


@pytest.fixture
def simulator(running_simulator: SimulatorServer) -> SimulatorServer:
    """The module's simulator, reset for this test."""
    running_simulator.control.reset()
    return running_simulator


@pytest.fixture
def control(simulator: SimulatorServer) -> ControlClient:
    """Its control API."""
    return simulator.control


@pytest.fixture
def tenant(simulator: SimulatorServer) -> Iterator[TenantClient]:
    """A caller of its Authentication API, with the default client's secret."""
    with TenantClient(simulator) as client:
        yield client
