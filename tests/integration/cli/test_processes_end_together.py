"""`gatepost worker` and `gatepost dev` as real processes: they serve, they end in order, and nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from gatepost_operations.cli.dev_environment import read_export_lines
from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

GATEPOST = [sys.executable, "-m", "gatepost_operations.cli"]
PATIENCE_S = 60.0
REAL_TENANT = {"AUTH0_DOMAIN": "real.eu.auth0.com", "AUTH0_CLIENT_ID": "real", "AUTH0_CLIENT_SECRET": "s3cret-canary"}


def outside() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AUTH0_", "GATEPOST_"))}


def run(*arguments: str, directory: Path, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run one command with --json, in the environment given or with the running dev."""
    done = subprocess.run(
        [*GATEPOST, *([] if environment else ["--dev"]), *arguments, "--json"],
        env={**outside(), **(environment or REAL_TENANT)},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "exit_code": done.returncode}


def children_of(pid: int) -> dict[int, str]:
    """The command lines of a process's children."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, IndexError):
                continue
    return found


def until(holds: Any, what: str) -> Any:
    give_up = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < give_up, what
        time.sleep(0.1)
    return found


class Dev:
    """`gatepost dev` in a separate directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "dev.log"
        with self.log.open("wb") as log, (directory / "dev.out").open("wb") as out:
            self.process = subprocess.Popen([*GATEPOST, "dev"], env=outside(), cwd=directory, stdout=out, stderr=log)
        self.variables = until(self._ready, "dev.env is written and the workers take messages")
        self.children = children_of(self.process.pid)

    def _ready(self) -> dict[str, str]:
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
        ready = self.log.read_text(encoding="utf-8").count(" ready.")
        return read_export_lines(self.directory / ".gatepost" / "dev.env") if ready == 2 else {}

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    """A running `gatepost dev`."""
    started = Dev(tmp_path)
    yield started
    if started.process.poll() is None:
        started.end(signal.SIGTERM)


def alive(pids: dict[int, str]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.slow
def test_a_second_terminal_sends_and_ctrl_c_ends_everything(dev: Dev) -> None:
    """With the printed lines, or with --dev, beside a real tenant's variables and file.

    Ctrl-C exits with 130 and removes dev.env. The next start keeps the keys and the ports, and exits with 0 on SIGTERM.
    """
    printed = dict(
        line.removeprefix("export ").split("=", 1)
        for line in (dev.directory / "dev.out").read_text(encoding="utf-8").splitlines()
    )
    (dev.directory / "below").mkdir()
    lines = [f"{name}={value}\n" for name, value in REAL_TENANT.items()]
    (dev.directory / "below" / ".env").write_text("".join([*lines, "GATEPOST_NAMESPACE=real\n"]), encoding="utf-8")
    sent = run("send-email", "ana@example.com", directory=dev.directory / "below")
    checked = run("doctor", environment=dev.variables, directory=dev.directory)
    second = subprocess.run(
        [*GATEPOST, "dev"], env=outside(), cwd=dev.directory, capture_output=True, text=True, check=False
    )
    interrupted = dev.end(signal.SIGINT)
    files = {file.name for file in (dev.directory / ".gatepost").glob("*.env")}
    without = run("quota", directory=dev.directory)
    again = Dev(dev.directory)
    tenants = run("tenants", "list", directory=dev.directory)
    terminated = again.end(signal.SIGTERM)

    assert printed == dev.variables
    assert (sent["exit_code"], sent["state"]) == (0, "accepted")
    # The reconciler's first run may be to come.
    assert {check["name"] for check in checked["checks"] if check["status"] != "ok"} <= {"reconciler"}
    assert checked["exit_code"] == 0
    assert (second.returncode, "gatepost dev runs already in .gatepost" in second.stderr) == (5, True)
    assert (interrupted, len(dev.children), alive(dev.children)) == (130, 5, [])
    assert files == {"last.env"}
    assert (without["exit_code"], "start one with: gatepost dev" in without["error"]["message"]) == (4, True)
    assert again.variables == dev.variables
    assert (tenants["exit_code"], [one["name"] for one in tenants["tenants"]]) == (0, ["default"])
    assert (terminated, alive(again.children)) == (0, [])
    assert "Fatal Python error" not in dev.log.read_text(encoding="utf-8") + again.log.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_killed_worker_starts_again_and_a_killed_simulator_ends_everything(dev: Dev) -> None:
    """The workers continue as before. Without the simulator nothing works: exit code 1, its name, and no process left behind."""
    for part in (" beat ", "gatepost.login,gatepost.send"):
        os.kill(next(pid for pid, command in dev.children.items() if part in command), signal.SIGKILL)
    until(lambda: dev.log.read_text(encoding="utf-8").count("it starts again") == 2, "both start again")
    sent = run("send-email", "ana@example.com", directory=dev.directory)
    children = children_of(dev.process.pid)
    os.kill(next(pid for pid, command in children.items() if "gatepost_simulator" in command), signal.SIGKILL)
    code = dev.process.wait(PATIENCE_S)
    log = dev.log.read_text(encoding="utf-8")

    assert (sent["exit_code"], sent["state"]) == (0, "accepted")
    assert "gatepost: beat was killed (SIGKILL); it starts again." in log
    assert "gatepost: worker was killed (SIGKILL); it starts again." in log
    assert code == 1
    assert "simulator was killed (SIGKILL); stopping everything else." in log
    assert (alive(children), (dev.directory / ".gatepost" / "dev.env").exists()) == ([], False)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_simulator_that_waits_for_its_input_ends_cleanly(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """A thread that reads standard input delays neither the end nor the interpreter's clean-up."""
    with subprocess.Popen(
        [sys.executable, "-m", "gatepost_simulator", "--until-stdin-closes", "--port", "0"],
        env=outside(),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as simulator:
        assert simulator.stdout is not None
        assert simulator.stderr is not None
        ready = simulator.stdout.readline()
        simulator.send_signal(number)
        # Not `communicate`, which would close its input.
        ended = simulator.wait(PATIENCE_S)
        error = simulator.stderr.read()

    assert "ready" in ready
    assert (ended, error) == (code, "")


@pytest.mark.slow
def test_a_worker_replaces_the_command(variables: dict[str, str], tmp_path: Path) -> None:
    """The same process serves the queue, and ends warmly."""
    with SimulatorServer(tls=True) as simulator:
        environment = {
            **variables,
            "AUTH0_DOMAIN": simulator.domain,
            "AUTH0_CLIENT_ID": DEV_CLIENT_ID,
            "AUTH0_CLIENT_SECRET": DEV_CLIENT_SECRET,
            "AUTH0_CA_BUNDLE": str(simulator.ca_file),
        }
        log = tmp_path / "worker.log"
        with log.open("wb") as stream:
            worker = subprocess.Popen(
                [*GATEPOST, "worker", "--queues", "send", "--concurrency", "2", "--log-format", "json"],
                env={**outside(), **environment},
                cwd=tmp_path,
                stdout=stream,
                stderr=stream,
            )
        try:
            sent = run("send-sms", "+34600000001", environment=environment, directory=tmp_path)
            command = Path(f"/proc/{worker.pid}/cmdline").read_bytes().split(b"\0")
        finally:
            worker.terminate()
            code = worker.wait(PATIENCE_S)

    assert (sent["state"], code) == ("accepted", 0)
    assert b"celery" in command
    assert "+34600000001" not in log.read_text(encoding="utf-8")


def test_simulator_options_are_passed_on(tmp_path: Path) -> None:
    """`gatepost simulator` is the simulator's own command line, its help included."""
    done = subprocess.run(
        [*GATEPOST, "simulator", "--help"], env=outside(), cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("Usage: gatepost simulator ")
    assert "--cert-dir" in done.stdout


def test_ctrl_c_while_waiting_leaves_the_operation(variables: dict[str, str], tmp_path: Path) -> None:
    """Exit code 130, and the command that shows the operation, which stays queued without a worker."""
    environment = {**outside(), **variables}
    with (
        subprocess.Popen(
            [*GATEPOST, "send-email", "ana@example.com"],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as waiting,
        redis.Redis.from_url(variables["GATEPOST_REDIS_URL"], protocol=2) as client,
    ):
        until(lambda: client.pubsub_channels("gatepost:operation:*"), "the command waits for the end")
        waiting.send_signal(signal.SIGINT)
        out, error = waiting.communicate(timeout=PATIENCE_S)
    operation_id = error.split()[-1]
    found = run("status", operation_id, environment=variables, directory=tmp_path)

    assert (waiting.returncode, out) == (130, "")
    assert "the operation continues: gatepost status" in error
    assert found["state"] == "queued"
