"""The command line and the server class: processes that start, announce themselves, and end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests

from gatepost_simulator.control import ControlClient
from gatepost_simulator.server import SimulatorServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COMMAND = [sys.executable, "-m", "gatepost_simulator"]


@pytest.fixture
def command() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that a test started; what still runs afterwards is ended."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(started: list[subprocess.Popen[str]], *options: str, **environment: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*_COMMAND, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    started.append(process)
    return process


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_announces_itself_as_json(command: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    """One line has the URL, the issuer and the files; the files stay in the directory named."""
    process = start(command, "--port", "0", "--tls", "--json", "--cert-dir", str(tmp_path / "certificates"))
    ready = json.loads(line_of(process))
    described = ControlClient(ready["url"], ready["ca_file"]).describe()

    assert ready["url"].startswith("https://localhost:")
    assert described["issuer"] == ready["issuer"]
    assert {path.name for path in (tmp_path / "certificates").iterdir()} == {
        "ca.pem",
        "server.pem",
        "client.pem",
        "assertion-key.pem",
    }


def test_announces_itself_to_a_person(command: list[subprocess.Popen[str]]) -> None:
    """Without --json the lines are for reading."""
    process = start(command, "--port", "0", "--no-tls", "--domain", "tenant.example")

    assert "Simulator ready at http://localhost:" in line_of(process)
    assert "gatepost-dev" in line_of(process)


def test_reads_environment_and_file(command: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    """The environment wins over the file; the rest of the file holds."""
    file = tmp_path / "simulator.toml"
    file.write_text('slow_s = 9\n[quota]\nplan = "free"\n')
    process = start(command, "--port", "0", "--json", "--config", str(file), GATEPOST_SIMULATOR_SLOW_S="0.5")
    settings = ControlClient(json.loads(line_of(process))["url"]).settings()

    assert (settings["slow_s"], settings["quota"]["plan"]) == (0.5, "free")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_ends_on_a_signal_and_takes_its_keys_along(
    command: list[subprocess.Popen[str]], tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """SIGTERM is a clean end, Ctrl-C has the shell's status; temporary keys do not stay behind."""
    process = start(command, "--port", "0", "--tls", "--json", TMPDIR=str(tmp_path))
    line_of(process)
    before = list(tmp_path.iterdir())
    process.send_signal(number)

    assert process.wait(timeout=120) == status
    assert len(before) == 1
    assert list(tmp_path.iterdir()) == []


def test_ends_when_standard_input_does(command: list[subprocess.Popen[str]]) -> None:
    """A parent that dies takes the simulator along."""
    process = start(command, "--port", "0", "--json", "--until-stdin-closes")
    line_of(process)
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None

    assert process.wait(timeout=120) == 0


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        (("--config", "nowhere.json"), {}, "No configuration file"),
        ((), {"GATEPOST_SIMULATOR_QUOTA__PLAN": "golden"}, "quota.plan"),
    ],
)
def test_bad_options_are_explained(
    command: list[subprocess.Popen[str]], options: tuple[str, ...], environment: dict[str, str], message: str
) -> None:
    """Status 2, and a message that names the problem."""
    process = start(command, "--port", "0", *options, **environment, COLUMNS="300", NO_COLOR="1")
    _, errors = process.communicate(timeout=120)

    assert process.returncode == 2
    assert message in errors


def test_a_port_in_use_is_explained(command: list[subprocess.Popen[str]]) -> None:
    """Which port, and that it cannot be had."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = start(command, "--port", port, COLUMNS="300", NO_COLOR="1")
        _, errors = process.communicate(timeout=120)

    assert process.returncode == 2
    assert f"Cannot bind 127.0.0.1:{port}" in errors


def test_a_server_in_its_own_process() -> None:
    """It answers while the context lasts, with the settings given, and is gone afterwards."""
    with SimulatorServer(quota={"plan": "free"}) as server:
        plan = server.control.quota()["quota"]["plan"]
        process_id = server.process_id
        with pytest.raises(RuntimeError, match="in_thread"):
            _ = server.simulator
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=5)

    assert plan == "free"
    assert process_id != os.getpid()


def test_a_server_that_cannot_start_says_so() -> None:
    """Wrong settings are an error where the server is made."""
    with pytest.raises(RuntimeError, match="did not start"):
        SimulatorServer(quota={"plan": "golden"})


def test_a_server_in_a_thread_can_be_looked_into() -> None:
    """Its tenant is there, and stopping twice does no harm."""
    with SimulatorServer(in_thread=True) as server:
        server.control.put_user("ada@example.com")
        users = len(server.simulator.tenant.profiles)
        server.stop()

    assert users == 1
