"""`gatepost dev`: Valkey, the simulator and workers in one terminal, until Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from gatepost_core.errors import ConfigurationError
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import DEFAULT_NAMESPACE, load_settings
from gatepost_core.settings.tenants import DEFAULT_TENANT
from gatepost_operations.cli.connection import ENV_FILE
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.options import command_app, examples
from gatepost_operations.cli.output import say, write
from gatepost_operations.extras import require_simulator, require_worker
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_operations.local.environment import (
    export_lines,
    no_proxy_variables,
    read_export_lines,
    simulator_variables,
    start_simulator,
    store_variables,
    without_gatepost_variables,
    write_private,
)
from gatepost_operations.processes import Child, Children, beat_command, worker_command

app = command_app()

_LOOK_EVERY_S: Final = 0.5
_ACCEPT_S: Final = 60


@app.command(
    epilog=examples(
        "gatepost dev",
        'eval "$(cat .gatepost/dev.env)"   # in a second terminal',
        "AUTH0_DOMAIN=… AUTH0_CLIENT_ID=… AUTH0_CLIENT_SECRET=… gatepost dev --real",
    )
)
def dev(
    *,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", metavar="DIRECTORY", help="Directory for Valkey's data and dev.env.")
    ] = Path(".gatepost"),
    real: Annotated[
        bool, typer.Option("--real", help="Use the tenant in the environment instead of the simulator.")
    ] = False,
    redis_port: Annotated[
        int, typer.Option("--redis-port", metavar="PORT", min=0, max=65535, help="0 chooses a free port.")
    ] = 0,
    simulator_port: Annotated[
        int, typer.Option("--simulator-port", metavar="PORT", min=0, max=65535, help="0 chooses a free port.")
    ] = 0,
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", min=1, max=1000, help="Threads of each worker.")
    ] = 16,
) -> ExitCode:
    """Run Valkey, the simulator and workers in one terminal.

    Prints the variables that a second terminal needs, and writes them to dev.env in the data directory. Ctrl-C stops everything.
    """
    require_worker()
    if real and not os.environ.get("AUTH0_DOMAIN"):
        raise ConfigurationError("--real needs a tenant: set AUTH0_DOMAIN, AUTH0_CLIENT_ID and a credential")
    if not real:
        require_simulator()
        if os.environ.get("AUTH0_DOMAIN"):
            say("AUTH0_DOMAIN is set and ignored, because the simulator is used. To use the tenant, add --real.")
    directory = data_dir.resolve()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        stop = _StopSignal(stack)
        processes = _DevProcesses(stack, directory, real=real)
        processes.start_valkey(redis_port)
        if not real:
            processes.start_simulator(simulator_port)
            processes.accept_simulator()
        processes.show_variables()
        processes.start_workers(concurrency)
        return _watch(processes, stop)


class _DevProcesses:
    """All processes of `gatepost dev`. The exit stack stops them in reverse order."""

    def __init__(self, stack: ExitStack, directory: Path, *, real: bool) -> None:
        self._stack = stack
        self._directory = directory
        # The project's .env may name a real tenant, so it is not read beside the simulator.
        self._working_directory = Path.cwd() if real else directory
        outside = dict(os.environ) if real else without_gatepost_variables(os.environ)
        self._outside = {"GATEPOST_LOG_FORMAT": "console", **outside, **no_proxy_variables(os.environ)}
        namespace = load_settings(env_file=ENV_FILE).namespace if real else DEFAULT_NAMESPACE
        self._variables = {"GATEPOST_NAMESPACE": namespace}
        self._parts: list[Children] = []
        self._valkey = EmbeddedValkey(directory / "valkey")
        self._earlier = read_export_lines(self._env_file)

    def start_valkey(self, port: int) -> None:
        self._valkey = self._stack.enter_context(EmbeddedValkey(self._directory / "valkey", port=port))
        self._variables |= store_variables(self._valkey.url, {**self._earlier, **self._outside})
        say(f"valkey     {self._valkey.url} (data in {self._valkey.directory})")

    def start_simulator(self, port: int) -> None:
        child, address = start_simulator(
            self._directory / "simulator", environment=self._outside, port=port, stderr=sys.stderr
        )
        self._group().add(child)
        self._variables |= simulator_variables(address)
        say(f"simulator  {address.url} (control API: {address.url}/simulator/docs)")

    def accept_simulator(self) -> None:
        """Move the open operations of an earlier run to this run's simulator, if its port differs."""
        earlier = self._earlier.get("AUTH0_DOMAIN")
        if earlier is None or earlier == self._variables["AUTH0_DOMAIN"]:
            return
        command = [sys.executable, "-m", "gatepost_operations.cli", "tenants", "accept", DEFAULT_TENANT, "--yes"]
        environment = {**self._outside, **self._variables}
        subprocess.run(  # noqa: S603 - our own command
            command, env=environment, cwd=self._directory, check=False, capture_output=True, timeout=_ACCEPT_S
        )

    def show_variables(self) -> None:
        lines = export_lines(self._variables)
        write_private(self._env_file, lines)
        write(*lines.rstrip("\n").split("\n"))
        say(f'In a second terminal: eval "$(cat {self._env_file})"')

    def start_workers(self, concurrency: int) -> None:
        workers = self._group()
        keys = RedisKeys(self._variables["GATEPOST_NAMESPACE"])
        commands = {
            "worker": worker_command(["login", "send"], name="dev", keys=keys, concurrency=concurrency),
            "bulk": worker_command(["bulk"], name="dev", keys=keys, concurrency=concurrency),
            "beat": beat_command(self._directory / "beat-schedule"),
        }
        for name, command in commands.items():
            environment = {**self._outside, **self._variables}
            child = Child(name, command, environment=environment, directory=self._working_directory, stdout=sys.stderr)
            workers.add(child)

    def dead(self) -> str | None:
        """Return a sentence about a process that ended by itself, if there is one."""
        for child in filter(None, (part.dead() for part in self._parts)):
            return f"{child.name} ended with exit code {child.process.returncode}"
        return None if self._valkey.running else f"Valkey ended; see {self._valkey.log}"

    def _group(self) -> Children:
        group = Children()
        self._stack.callback(group.stop)
        self._parts.append(group)
        return group

    @property
    def _env_file(self) -> Path:
        return self._directory / "dev.env"


class _StopSignal:
    """Waits for SIGINT or SIGTERM. A second signal interrupts the shutdown."""

    def __init__(self, stack: ExitStack) -> None:
        self._received = threading.Event()
        self.code = ExitCode.DONE
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, self._receive))

    def wait(self, seconds: float) -> bool:
        return self._received.wait(seconds)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._received.is_set():
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            self.code = ExitCode.INTERRUPTED
        self._received.set()


def _watch(processes: _DevProcesses, stop: _StopSignal) -> ExitCode:
    while not stop.wait(_LOOK_EVERY_S):
        if (dead := processes.dead()) is not None:
            say(f"gatepost: {dead}; stopping everything else.")
            return ExitCode.UNEXPECTED
    say("Stopping; press Ctrl-C again to stop at once.")
    return stop.code
