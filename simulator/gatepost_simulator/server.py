"""Start and stop a simulator from Python, in a new process or in a thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatepost_simulator.control import ControlClient
from gatepost_simulator.settings import SimulatorSettings
from gatepost_simulator.simulator import Simulator

if TYPE_CHECKING:
    from typing import Self

_START_S = 30.0
_STOP_S = 10.0


class SimulatorServer:
    """A running simulator.

    In a separate process (the default), it does not share the interpreter lock with the caller, and ends with the caller. In a thread, it
    starts faster, and `simulator.tenant` is accessible.

    Args:
        tls: Serve https. Clients must trust `ca_file`.
        port: The port; 0 takes a free one.
        host: The address to bind.
        in_thread: Run in this process.
        cert_dir: The directory for certificates and keys; None for a temporary one.
        **settings: Members of `settings.SimulatorSettings`, as JSON values: `quota={"plan": "free"}`.

    Raises:
        RuntimeError: It did not start.
        ValueError: In a thread, a setting is not valid, or a `GATEPOST_SIMULATOR_…` variable is unknown.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        port: int = 0,
        host: str = "127.0.0.1",
        in_thread: bool = False,
        cert_dir: Path | None = None,
        **settings: Any,
    ) -> None:
        self._stack = ExitStack()
        self._simulator: Simulator | None = None
        self.process_id = os.getpid()
        """The process that serves; this one, if the server runs in a thread."""
        if in_thread:
            simulator = Simulator(SimulatorSettings(**settings), host=host, port=port, tls=tls, cert_dir=cert_dir)
            ready = self._start_thread(simulator)
        else:
            options = ["--host", host, "--port", str(port), "--tls" if tls else "--no-tls"]
            options += ["--cert-dir", str(cert_dir)] if cert_dir is not None else []
            ready = self._start_process(options, settings)
        self.url: str = ready["url"]
        self.domain: str = ready["domain"]
        self.issuer: str = ready["issuer"]
        self.ca_file: str | None = ready["ca_file"]
        self.client_certificate_file: str | None = ready["client_certificate_file"]
        self.assertion_key_file: str = ready["assertion_key_file"]
        self.control = ControlClient(self.url, self.ca_file)

    @property
    def simulator(self) -> Simulator:
        """The simulator itself, of a server in a thread.

        Raises:
            RuntimeError: The server runs in a separate process.
        """
        if self._simulator is None:
            raise RuntimeError("The simulator runs in another process; start it with SimulatorServer(in_thread=True)")
        return self._simulator

    def stop(self) -> None:
        """Stop serving; safe to call twice."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_thread(self, simulator: Simulator) -> dict[str, Any]:
        self._simulator = self._stack.enter_context(simulator)
        started = threading.Event()
        thread = threading.Thread(target=simulator.run, args=(started.set,), name="gatepost-simulator", daemon=True)
        thread.start()
        self._stack.callback(thread.join, _STOP_S)
        self._stack.callback(simulator.stop)
        if not started.wait(_START_S):
            raise RuntimeError(f"The simulator was not ready within {_START_S:.0f} seconds")
        return asdict(simulator.ready)

    def _start_process(self, options: list[str], settings: dict[str, Any]) -> dict[str, Any]:
        command = [sys.executable, "-m", "gatepost_simulator", "--json", "--until-stdin-closes", *options]
        with tempfile.TemporaryDirectory(prefix="gatepost-simulator-") as directory:
            config = Path(directory, "settings.json")
            config.write_text(json.dumps(settings))
            process = subprocess.Popen(  # noqa: S603 - our own module, with arguments made above
                [*command, "--config", str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self._stack.callback(_stop_process, process)
            line = process.stdout.readline() if process.stdout else ""
        if not line:
            self.stop()
            raise RuntimeError(f"The simulator did not start (exit status {process.returncode}), see its messages")
        self.process_id = process.pid
        ready: dict[str, Any] = json.loads(line)
        return ready


def _stop_process(process: subprocess.Popen[str]) -> None:
    try:
        # Closes its standard input, which ends it.
        process.communicate(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
