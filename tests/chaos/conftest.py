"""The chaos tier: its long tests, its table, and the parts that its tests share."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_simulator.server import SimulatorServer
from support.chaos_rabbitmq import SERVER, RabbitMQ
from support.chaos_stack import ALL_QUEUES, ChaosStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost import Producer
    from support.chaos_accounts import Account

_HERE = Path(__file__).parent
_TABLE = "chaos"
_LONG_S = 1800


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long ones out unless they are asked for by name."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.chaos)
            if item.get_closest_marker("chaos_long"):
                item.add_marker(pytest.mark.timeout(_LONG_S))
    if "chaos_long" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("chaos_long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the injected faults, and the lost, doubled and unknown operations."""
    rows: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == _TABLE and report.when == "call":
                fault, *figures = json.loads(value)
                rows[fault] = [old + new for old, new in zip(rows[fault], figures, strict=True)]
    if not rows:
        return
    terminalreporter.section("chaos: faults, and what became of sends, logins and recipients")
    width = max(map(len, rows))
    heads = ("injected", "affected", "lost", "doubled", "unknown")
    terminalreporter.write_line(f"{'fault':{width}}  {'  '.join(f'{head:>8}' for head in heads)}")
    for fault, figures in rows.items():
        terminalreporter.write_line(f"{fault:{width}}  {'  '.join(f'{figure:>8}' for figure in figures)}")


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Put a line into the table that is printed at the end."""

    def put(fault: str, account: Account, *, injected: int = 1) -> None:
        figures = [injected, account.total, len(account.lost), len(account.doubled), account.unknown]
        request.node.user_properties.append((_TABLE, json.dumps([fault, *figures])))

    return put


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[SimulatorServer]:
    """The simulator over http, without limits that matter."""
    with SimulatorServer(
        tls=False, quota={"plan": "unlimited"}, slow_s=0.5, providers={"timeout_s": 0.5}, request_log_size=100_000
    ) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A RabbitMQ node for the session, from Debian's package. CI has it; a laptop may not."""
    if not SERVER.exists() and not os.environ.get("CI"):
        pytest.skip("rabbitmq-server is not installed")
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as node:
        yield node


@pytest.fixture(scope="session")
def redis_ward(tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer) -> Iterator[ChaosStack]:
    """A stack with one sound worker for all queues, which takes over the work of struck workers. Each test uses other recipients."""
    directory = tmp_path_factory.mktemp("ward")
    with EmbeddedValkey(directory / "valkey") as valkey, ChaosStack(valkey, simulator_server, directory) as stack:
        stack.worker(ALL_QUEUES)
        yield stack


@pytest.fixture(scope="session")
def rabbitmq_ward(
    rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer
) -> Iterator[ChaosStack]:
    """The same over RabbitMQ."""
    directory = tmp_path_factory.mktemp("ward-on-rabbitmq")
    with (
        EmbeddedValkey(directory / "valkey") as valkey,
        ChaosStack(
            valkey,
            simulator_server,
            directory,
            # Its worker lives through the session, beside those of other tests.
            {"GATEPOST_BROKER_URL": rabbitmq.new_host("ward")},
            rabbitmq=rabbitmq,
        ) as stack,
    ):
        stack.worker(ALL_QUEUES)
        yield stack


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.chaos_long)])
def ward(request: pytest.FixtureRequest) -> ChaosStack:
    """The stack of the session, over each of the brokers."""
    found: ChaosStack = request.getfixturevalue(f"{request.param}_ward")
    return found


@pytest.fixture
def producer(ward: ChaosStack) -> Iterator[Producer]:
    """A producer for the stack of the session."""
    with ward.producer() as ready:
        yield ready


@pytest.fixture
def stack_on_rabbitmq(rabbitmq: RabbitMQ, tmp_path: Path, simulator_server: SimulatorServer) -> Iterator[ChaosStack]:
    """A stack whose broker is RabbitMQ and whose ledger is a separate Valkey; a test starts the workers it needs."""
    rabbitmq.forget_messages()
    with (
        EmbeddedValkey(tmp_path / "valkey") as valkey,
        ChaosStack(valkey, simulator_server, tmp_path, rabbitmq=rabbitmq) as stack,
    ):
        yield stack
