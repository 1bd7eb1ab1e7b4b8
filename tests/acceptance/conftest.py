"""Fixtures of the acceptance tier: the whole stack, real processes over https."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_simulator.server import SimulatorServer
from support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatepost import Producer


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long journeys out unless they are asked for by name."""
    left_out = [
        name for name in ("afternoon", "dovecot", "oncall", "upgrade", "web") if name not in config.option.markexpr
    ]
    long = [item for item in items if any(item.get_closest_marker(name) for name in left_out)]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[SimulatorServer]:
    """The simulator over https, without limits."""
    with SimulatorServer(tls=True, quota={"plan": "unlimited"}, slow_s=1.5) as server:
        yield server


@pytest.fixture
def simulator(simulator_server: SimulatorServer) -> Iterator[SimulatorServer]:
    """The session's simulator, reset for this test, and after it for stacks that last for a whole file."""
    simulator_server.control.reset()
    yield simulator_server
    simulator_server.control.reset()


@pytest.fixture
def stack(valkey: EmbeddedValkey, simulator: SimulatorServer, tmp_path: Path) -> Iterator[Stack]:
    """Valkey and the simulator; a test starts the workers it needs."""
    with Stack(valkey, simulator, tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer) -> Iterator[Stack]:
    """A stack with one worker and the scheduler, shared by the tests that break nothing; each uses other recipients."""
    directory = tmp_path_factory.mktemp("running")
    # No call is lost here, so none has to be given up soon, and a busy machine has its time.
    patient = dict.fromkeys(("GATEPOST_EMAIL_DEADLINE", "GATEPOST_SMS_DEADLINE", "GATEPOST_LOGIN_DEADLINE"), "60")
    # A refused credential is the outcome of a test, and no replacement comes.
    settings = {**patient, "GATEPOST_CREDENTIAL_PATIENCE": "1"}
    with EmbeddedValkey(directory / "valkey") as valkey, Stack(valkey, simulator_server, directory, settings) as stack:
        stack.worker()
        stack.beat()
        yield stack


@pytest.fixture
def producer(running: Stack) -> Iterator[Producer]:
    """A producer for the shared stack."""
    with running.producer() as ready:
        yield ready
