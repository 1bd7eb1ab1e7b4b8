"""The stack of a reader of the documentation: Valkey, the simulator over https, a worker and the schedule."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_simulator.server import SimulatorServer
from support.checkout import CHECKOUT
from support.page_session import PageSession
from support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CODE_S = 20.0


@pytest.fixture(scope="session")
def reader_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all pages."""
    directory = tmp_path_factory.mktemp("docs")
    with (
        SimulatorServer(tls=True, quota={"plan": "unlimited"}) as simulator,
        EmbeddedValkey(directory / "valkey") as valkey,
        Stack(valkey, simulator, directory) as stack,
    ):
        stack.worker("gatepost.login,gatepost.send,gatepost.bulk")
        stack.beat()
        yield stack


@pytest.fixture
def reader_environment(tmp_path: Path) -> dict[str, str]:
    """A terminal with Gatepost installed, without colours and without configuration."""
    home = tmp_path / "home"
    home.mkdir()
    bin_directory = Path(sys.executable).parent
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AUTH0_", "GATEPOST_"))}
    return {
        **inherited,
        "PATH": f"{bin_directory}:{os.environ['PATH']}",
        "HOME": str(home),
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "120",
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def open_page(tmp_path: Path, reader_environment: dict[str, str]) -> Iterator[Callable[..., PageSession]]:
    """Open sessions that end with the test: `open_page(stack)`, or without one."""
    opened: list[PageSession] = []

    def open_one(stack: Stack | None = None) -> PageSession:
        directory = tmp_path / f"page-{len(opened)}"
        directory.mkdir()
        if stack is None:
            session = PageSession(directory, reader_environment)
        else:
            control = stack.simulator.control
            session = PageSession(
                directory,
                {**reader_environment, **stack.environment, "SIMULATOR_URL": stack.simulator.url},
                lambda address: control.latest_code(address, wait_s=_CODE_S),
            )
        shutil.copytree(CHECKOUT / "examples", session.directory / "examples")
        opened.append(session)
        return session

    yield open_one
    for session in opened:
        session.close()


@pytest.fixture
def fresh_stack(reader_stack: Stack) -> Stack:
    """The stack as if it had just been started: no page meets what another one sent."""
    reader_stack.simulator.control.reset()
    with reader_stack.redis() as client:
        # The worker keeps running, so its queue bindings are kept.
        for key in client.scan_iter("*"):
            if not key.startswith((b"_kombu", b"unacked")):
                client.delete(key)
    return reader_stack
