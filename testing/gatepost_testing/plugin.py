"""The fixtures and markers. pytest loads this module in every run, so it imports nothing else of Gatepost until a fixture is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.testing import MemoryProducer
    from gatepost_simulator.control import ControlClient
    from gatepost_simulator.server import SimulatorServer
    from gatepost_testing.outbox import Outbox
    from gatepost_testing.world import World

_MARKERS = (
    "gatepost_settings(**settings): settings of the simulator, such as slow_s=0.1 or quota={'plan': 'free'}",
    "gatepost_tls: gatepost_simulator serves https",
    "gatepost_fault(**fault): a fault of the simulator; several markers make several, in their order",
    "gatepost_clock(advance_s=0, frozen=False): moves or stops the simulator's clock before the test",
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def gatepost_memory() -> Iterator[MemoryProducer]:
    """A producer without Redis. See `gatepost.testing`."""
    from gatepost.testing import MemoryProducer  # noqa: PLC0415 - as the module says

    with MemoryProducer() as producer:
        yield producer


@pytest.fixture
def gatepost_simulator(request: pytest.FixtureRequest) -> Iterator[SimulatorServer]:
    """A simulated tenant of the test's own, in a thread."""
    from gatepost_simulator.server import SimulatorServer  # noqa: PLC0415 - as above

    settings = _settings_of(request)
    tls = request.node.get_closest_marker("gatepost_tls") is not None
    with SimulatorServer(in_thread=True, tls=tls, **settings) as server:
        _apply_markers(request, server.control)
        yield server


@pytest.fixture
def gatepost_outbox(request: pytest.FixtureRequest) -> Outbox:
    """The messages that the simulator sent: of `gatepost_world` if the test uses it, else of `gatepost_simulator`."""
    from gatepost_testing.outbox import Outbox  # noqa: PLC0415 - as above

    if "gatepost_world" in request.fixturenames:
        world: World = request.getfixturevalue("gatepost_world")
        return world.outbox
    simulator: SimulatorServer = request.getfixturevalue("gatepost_simulator")
    return Outbox(simulator.control)


@pytest.fixture(scope="session")
def _gatepost_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    from gatepost_testing.world import World  # noqa: PLC0415 - as above

    with World(tmp_path_factory.mktemp("gatepost")) as world:
        yield world


@pytest.fixture
def gatepost_world(request: pytest.FixtureRequest, _gatepost_processes: World) -> Iterator[World]:
    """Everything: an embedded Valkey, a simulated tenant, and a worker. They start once, with the first test that asks for them."""
    world = _gatepost_processes
    world.reset()
    if settings := _settings_of(request):
        world.control.change_settings(**settings)
    _apply_markers(request, world.control)
    yield world
    world.reset()


def _settings_of(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker = request.node.get_closest_marker("gatepost_settings")
    return {} if marker is None else dict(marker.kwargs)


def _apply_markers(request: pytest.FixtureRequest, control: ControlClient) -> None:
    # From the farthest marker to the nearest: module, class, test.
    for marker in reversed(list(request.node.iter_markers("gatepost_fault"))):
        control.script_fault(**marker.kwargs)
    clock = request.node.get_closest_marker("gatepost_clock")
    if clock is not None:
        if clock.kwargs.get("frozen"):
            control.freeze_clock()
        if seconds := clock.kwargs.get("advance_s"):
            control.advance_clock(seconds)
