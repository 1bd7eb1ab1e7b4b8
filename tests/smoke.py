"""Import every module and run every command once, in the interpreter that runs this: `python tests/smoke.py`.

It starts `gatepost dev`, works against it as an operator would, and runs the demo at the end. A command that is not called here, an exit code
that is not the expected one, or a traceback is a failure. It needs the packages of Gatepost alone, none of the test tools.
"""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatepost_operations.cli.command_table import TABLE
from gatepost_operations.cli.dev_environment import read_export_lines
from gatepost_operations.cli.entry import load
from gatepost_simulator.control import ControlClient

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("gatepost_core", "gatepost", "gatepost_worker", "gatepost_operations", "gatepost_simulator")
# They build something, or end the process, when they are imported.
PROGRAMS = {"gatepost_operations.cli.__main__", "gatepost_simulator.__main__", "gatepost_worker.celery"}
GATEPOST = [sys.executable, "-m", "gatepost_operations.cli"]
START_S = 60
COMMAND_S = 120
MISSING = "0f8fad5b-d9cb-469f-a165-70867728950e"


def import_everything() -> int:
    """Import each module of ours, and return how many there are."""
    names = [
        found.name
        for package in PACKAGES
        for found in pkgutil.walk_packages(import_module(package).__path__, f"{package}.")
        if found.name not in PROGRAMS
    ]
    for name in names:
        import_module(name)
    return len(names)


def all_commands() -> set[str]:
    """Return every command as it is typed, such as `campaign send`."""
    found = set()
    for entry in TABLE:
        command = load(entry)
        verbs = getattr(command, "commands", {})
        found |= {f"{entry.name} {verb}" for verb in verbs}
        if not verbs or command.invoke_without_command:
            found.add(entry.name)
    return found


@contextmanager
def running(
    command: list[str], directory: Path, environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[str]]:
    """Run a process in the background and end it with SIGTERM."""
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=output, stderr=output, text=True)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(START_S)


class Smoke:
    """Runs commands, and remembers which."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.called: set[str] = set()
        self._directory = directory
        self._environment = environment

    def run(self, command: str, *arguments: str, expected: int = 0, given: str = "") -> str:
        """Run one command; return its standard output."""
        print(f"  gatepost {command}", flush=True)
        self.called.add(command)
        done = subprocess.run(
            [*GATEPOST, *command.split(), *arguments],
            cwd=self._directory,
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if done.returncode != expected or "Traceback" in done.stderr:
            sys.exit(f"gatepost {command}: exit code {done.returncode}, not {expected}\n{done.stdout}{done.stderr}")
        return done.stdout

    def json(self, command: str, *arguments: str, expected: int = 0, given: str = "") -> Any:
        """Run one command with --json; return the object it printed last."""
        return json.loads(self.run(command, *arguments, "--json", expected=expected, given=given).splitlines()[-1])

    @contextmanager
    def background(self, command: str, *arguments: str) -> Iterator[None]:
        """Keep a command running that ends by a signal alone."""
        print(f"  gatepost {command}", flush=True)
        self.called.add(command)
        log = self._directory / f"{command}.log"
        with running([*GATEPOST, command, *arguments], self._directory, self._environment, log) as process:
            yield
            if process.poll() is not None:
                sys.exit(f"gatepost {command} ended by itself\n{log.read_text()}")


def single_operations(smoke: Smoke, simulator: ControlClient) -> None:
    """Send, log in, look at both."""
    sent = smoke.json("send-email", "ana@example.com")
    smoke.run("send-sms", "+447700900123")
    smoke.run("status", sent["operation_id"])
    smoke.run("result", sent["operation_id"])
    smoke.run("cancel", sent["operation_id"], expected=5)
    code = simulator.latest_code("ana@example.com", wait_s=START_S)
    smoke.run("login", "ana@example.com", "--redeem", given=code)


def campaigns(smoke: Smoke, directory: Path) -> None:
    """Take a campaign from its file to its end, and another one apart."""
    people = directory / "people.csv"
    people.write_text("email\n" + "".join(f"person{number}@example.com\n" for number in range(20)))
    smoke.run("campaign check", "people.csv")
    smoke.run("campaign plan", "people.csv")
    smoke.run("campaign test", "people.csv", "--to", "me@example.com")
    smoke.run("campaign send", "people.csv", "--name", "spring")
    smoke.run("campaign status", "spring")
    smoke.run("campaign watch", "spring")
    smoke.run("campaign show", "spring", "person1@example.com")
    smoke.run("campaign export", "spring", "--output", "out.csv")
    smoke.run("campaign retry", "spring", "--dry-run")
    smoke.run("campaign recount", "spring")
    smoke.run("campaign create", "slow", "--rate", "0.1")
    smoke.run("campaign add", "slow", "people.csv", "--again")
    smoke.run("campaign start", "slow")
    smoke.run("campaign pause", "slow")
    smoke.run("campaign change", "slow", "--rate", "0.2")
    smoke.run("campaign resume", "slow")
    smoke.run("campaign cancel", "slow", "--yes")
    smoke.run("campaign list")


def ways_in(smoke: Smoke) -> None:
    """Make and withdraw API keys, accounts of the console, and an endpoint of webhooks that no name leads to."""
    smoke.run("api-keys create", "shop", "--kind", "send_email", "--domain", "example.com")
    smoke.run("api-keys list")
    smoke.run("api-keys revoke", "shop")
    smoke.run("console-users add", "ana", "--level", "admin", given="correct horse battery")
    smoke.run("console-users list")
    smoke.run("console-users sign-out", "ana")
    smoke.run("console-users remove", "ana", "--yes")
    endpoint = smoke.json("webhooks add", "https://webhooks.example.invalid/gatepost")["id"]
    smoke.run("webhooks list")
    smoke.run("webhooks test", endpoint, "--timeout", "20", expected=3)
    smoke.run("webhooks replay", endpoint, "--since", "1h")
    smoke.run("webhooks rotate", endpoint)
    smoke.run("webhooks disable", endpoint)
    smoke.run("webhooks enable", endpoint)
    smoke.run("webhooks remove", endpoint, "--yes")


def upkeep(smoke: Smoke, directory: Path) -> None:
    """Do what an operator does to lists, keys, quota, dead letters and logs."""
    (directory / "bounced.csv").write_text("email\nbounced@example.com\n")
    smoke.run("suppression add", "left@example.com", "--reason", "unsubscribed")
    smoke.run("suppression import", "bounced.csv", "--reason", "bounced")
    smoke.run("suppression show", "left@example.com")
    smoke.run("suppression count")
    smoke.run("suppression remove", "left@example.com")
    smoke.run("quota")
    smoke.run("quota clear")
    # No mailbox is configured.
    smoke.run("probe", expected=4)
    smoke.run("doctor")
    smoke.run("tenants list")
    # Its application is registered already, and workers are alive.
    smoke.run("tenants accept", "default", "--yes", expected=4)
    smoke.run("recover", "--backup-of", "1h", "--yes", expected=5)
    smoke.run("keys new")
    smoke.run("keys status")
    smoke.run("keys rotate")
    smoke.run("keys forget", "missing", "--yes")
    smoke.run("dead-letters list")
    smoke.run("dead-letters show", MISSING, expected=1)
    smoke.run("dead-letters replay")
    smoke.run("dead-letters drop")
    smoke.run("erase", "-", "--yes", given="person1@example.com")
    campaign = smoke.json("campaign status", "spring")
    smoke.run("campaign delete", "spring", "--confirm", campaign["campaign_id"])
    smoke.run("audit list")
    smoke.run("audit verify")


def processes(smoke: Smoke) -> None:
    """Start the commands that run until a signal, and check a worker's health."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        health_port = free.getsockname()[1]
    with (
        smoke.background("simulator", "--port", "0"),
        smoke.background("web", "--role", "api", "--port", "0"),
        smoke.background("worker", "--health-port", str(health_port)),
    ):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            asked = subprocess.run(
                [*GATEPOST, "health", "--port", str(health_port)], capture_output=True, timeout=COMMAND_S, check=False
            )
            if asked.returncode == 0:
                break
            time.sleep(0.5)
        smoke.run("health", "--port", str(health_port))
        smoke.run("metrics", "--once")


def main() -> None:
    """Run everything, in a directory that is removed afterwards."""
    print(f"{import_everything()} modules import")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AUTH0_", "GATEPOST_"))}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        log, variables = directory / "dev.log", directory / ".gatepost" / "dev.env"
        with running([*GATEPOST, "dev"], directory, clean, log) as dev:
            deadline = time.monotonic() + START_S
            while not variables.is_file():
                if dev.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"gatepost dev did not start\n{log.read_text()}")
                time.sleep(0.1)
            world = read_export_lines(variables)
            accounts = {"GATEPOST_CONSOLE_USERS": str(directory / "console-users")}
            smoke = Smoke(directory, {**clean, **world, **accounts})
            smoke.called |= {"dev", "demo"}
            simulator = ControlClient(f"https://{world['AUTH0_DOMAIN']}", world["AUTH0_CA_BUNDLE"])
            single_operations(smoke, simulator)
            campaigns(smoke, directory)
            ways_in(smoke)
            upkeep(smoke, directory)
            processes(smoke)
        if "Traceback" in log.read_text():
            sys.exit(log.read_text())
        people = Path(__file__).parents[1] / "examples" / "people.csv"
        subprocess.run(
            [*GATEPOST, "demo", "--file", str(people)], cwd=directory, env=clean, timeout=COMMAND_S, check=True
        )
    if missing := all_commands() ^ smoke.called:
        sys.exit(f"not called, or not a command: {', '.join(sorted(missing))}")
    print(f"{len(smoke.called)} commands ran")


if __name__ == "__main__":
    main()
