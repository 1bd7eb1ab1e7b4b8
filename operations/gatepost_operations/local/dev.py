"""`gatepost dev`: Valkey, the simulator and workers in one terminal, until Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from gatepost_core.errors import ConfigurationError
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import DEFAULT_NAMESPACE, load_settings
from gatepost_core.settings.tenants import DEFAULT_TENANT
from gatepost_operations.cli.dev_environment import (
    DATA_DIRECTORY,
    DevFiles,
    env_file,
    export_lines,
    no_proxy_variables,
    read_export_lines,
    without_gatepost_variables,
)
from gatepost_operations.cli.exit_codes import ExitCode, Refused
from gatepost_operations.cli.options import command_app, examples
from gatepost_operations.cli.output import say, write
from gatepost_operations.extras import require_simulator, require_worker
from gatepost_operations.local.embedded_valkey import EmbeddedValkey, end_left_over_server
from gatepost_operations.local.environment import (
    simulator_variables,
    start_simulator,
    store_variables,
    write_private,
)
from gatepost_operations.local.ports import port_of, usable_port
from gatepost_operations.processes import Child, Children, beat_command, worker_command

app = command_app()

_VALKEY_PORT: Final = 16379
_SIMULATOR_PORT: Final = 4430
_LOOK_EVERY_S: Final = 0.5
# A worker that ends more often than this has a fault that a restart does not correct.
_MOST_RESTARTS: Final = 3
_RESTARTS_WITHIN_S: Final = 60.0
_ACCEPT_S: Final = 60


@app.command(
    epilog=examples(
        "gatepost dev",
        "gatepost --dev send-email ana@example.com   # in a second terminal",
        "AUTH0_DOMAIN=… AUTH0_CLIENT_ID=… AUTH0_CLIENT_SECRET=… gatepost dev --real",
    )
)
def dev(
    *,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", metavar="DIRECTORY", help="Directory for Valkey's data and dev.env.")
    ] = DATA_DIRECTORY,
    real: Annotated[
        bool, typer.Option("--real", help="Use the tenant of the environment instead of the simulator.")
    ] = False,
    redis_port: Annotated[
        int | None,
        typer.Option(
            "--redis-port",
            metavar="PORT",
            min=0,
            max=65535,
            help="Port of Valkey; 0 takes a free port [default: that of the last run, or 16379].",
        ),
    ] = None,
    simulator_port: Annotated[
        int | None,
        typer.Option(
            "--simulator-port",
            metavar="PORT",
            min=0,
            max=65535,
            help="Port of the simulator; 0 takes a free port [default: that of the last run, or 4430].",
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", min=1, max=1000, help="Threads of each worker.")
    ] = 16,
) -> ExitCode:
    """Run Valkey, the simulator and workers in one terminal.

    Ctrl-C stops everything. If a worker ends, it is started again. If a port is in use, the command takes a free one.

    `gatepost dev` prints the environment variables that other programs need. While it runs, the file dev.env in the data directory contains
    them.
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
    files = DevFiles(directory)
    with ExitStack() as stack:
        if not stack.enter_context(files.hold()):
            raise Refused(
                f"gatepost dev runs already in {data_dir}. Use it with: gatepost --dev COMMAND. For a second one, give another --data-dir."
            )
        stop = _StopSignal(stack)
        processes = _DevProcesses(stack, files, real=real)
        processes.start_valkey(redis_port)
        if not real:
            processes.start_simulator(simulator_port)
            processes.accept_simulator()
        processes.show_variables()
        processes.start_workers(concurrency)
        return _watch(processes, stop)


class _DevProcesses:
    """All processes of `gatepost dev`. The exit stack stops them in reverse order."""

    def __init__(self, stack: ExitStack, files: DevFiles, *, real: bool) -> None:
        self._stack = stack
        self._files = files
        self._directory = directory = files.directory
        # The project's .env may name a real tenant, so it is not read beside the simulator.
        self._working_directory = Path.cwd() if real else directory
        outside = dict(os.environ) if real else without_gatepost_variables(os.environ)
        self._outside = {"GATEPOST_LOG_FORMAT": "console", **outside, **no_proxy_variables(os.environ)}
        namespace = load_settings(env_file=env_file()).namespace if real else DEFAULT_NAMESPACE
        self._variables = {"GATEPOST_NAMESPACE": namespace}
        self._parts: list[Children] = []
        self._valkey = EmbeddedValkey(directory / "valkey")
        self._earlier = read_export_lines(files.last)
        self._workers: Workers | None = None

    def start_valkey(self, asked: int | None) -> None:
        earlier = port_of(self._earlier.get("GATEPOST_REDIS_URL"))
        if earlier and end_left_over_server(earlier, self._valkey.directory):
            say("gatepost: an earlier run was killed; its Valkey was still running and has been shut down.")
        port = usable_port("Valkey", asked, earlier, _VALKEY_PORT)
        self._valkey = self._stack.enter_context(EmbeddedValkey(self._directory / "valkey", port=port))
        self._variables |= store_variables(self._valkey.url, {**self._earlier, **self._outside})
        say(f"valkey     {self._valkey.url} (data in {self._valkey.directory})")

    def start_simulator(self, asked: int | None) -> None:
        port = usable_port("the simulator", asked, port_of(self._earlier.get("AUTH0_DOMAIN")), _SIMULATOR_PORT)
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
        write_private(self._files.last, lines)
        write_private(self._files.variables, lines)
        self._stack.callback(self._files.variables.unlink, missing_ok=True)
        write(*lines.rstrip("\n").split("\n"))
        say(f'In a second terminal: gatepost --dev COMMAND, or: eval "$(cat {self._files.variables})"')

    def start_workers(self, concurrency: int) -> None:
        keys = RedisKeys(self._variables["GATEPOST_NAMESPACE"])
        commands = {
            "worker": worker_command(["login", "send", "webhooks"], name="dev", keys=keys, concurrency=concurrency),
            "bulk": worker_command(["bulk"], name="dev", keys=keys, concurrency=concurrency),
            "beat": beat_command(self._directory / "beat-schedule"),
        }
        environment = {**self._outside, **self._variables}

        def start(name: str) -> Child:
            return Child(
                name,
                commands[name],
                environment=environment,
                directory=self._working_directory,
                stdout=sys.stderr,
            )

        self._workers = Workers(start, self._group(), commands)

    def look(self) -> str | None:
        """Start workers again that ended. Return a sentence about a process without which nothing works, if one ended."""
        for child in filter(None, (part.dead() for part in self._parts)):
            if self._workers is None or not self._workers.restart(child):
                return f"{child.name} {child.ending}"
        return None if self._valkey.running else f"Valkey ended; see {self._valkey.log}"

    def _group(self) -> Children:
        group = Children()
        self._stack.callback(group.stop)
        self._parts.append(group)
        return group


class Workers:
    """The workers and beat. One that ends is started again, unless it ends again and again.

    Args:
        start: starts the child of a name.
        children: the children that stop together.
        names: the names.
        monotonic: returns the seconds of a monotonic clock.
    """

    def __init__(
        self,
        start: Callable[[str], Child],
        children: Children,
        names: Iterable[str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._children = children
        self._monotonic = monotonic
        self._restarts: dict[str, list[float]] = {name: [] for name in names}
        for name in names:
            children.add(start(name))

    def restart(self, child: Child) -> bool:
        """Start a child again that ended. Return False if it is no worker, or if it ended too often."""
        if child.name not in self._restarts:
            return False
        now = self._monotonic()
        recent = [at for at in self._restarts[child.name] if now - at < _RESTARTS_WITHIN_S]
        if len(recent) >= _MOST_RESTARTS:
            return False
        say(f"gatepost: {child.name} {child.ending}; it starts again.")
        self._restarts[child.name] = [*recent, now]
        self._children.replace(child, self._start(child.name))
        return True


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
        if (dead := processes.look()) is not None:
            say(f"gatepost: {dead}; stopping everything else.")
            return ExitCode.UNEXPECTED
    say("Stopping; press Ctrl-C again to stop at once.")
    return stop.code
