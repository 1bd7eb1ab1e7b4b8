"""Starts and stops a simulator from Python, in a new process or in a thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatepost_simulator.control import ControlClient
from gatepost_simulator.settings import SimulatorSettings
from gatepost_simulator.simulator import Simulator

if TYPE_CHECKING:
    from typing import Self

_START_S = 30.0
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class _Options:
    tls: bool
    port: int
    host: str
    cert_dir: Path | None
    settings: dict[str, Any]


class _InThread:
    def __init__(self, options: _Options) -> None:
        self.simulator = Simulator(
            SimulatorSettings(**options.settings),
            host=options.host,
            port=options.port,
            tls=options.tls,
            cert_dir=options.cert_dir,
        )
        self.ready = self.simulator.ready.document()
        self.process_id = os.getpid()
        started = threading.Event()
        self._thread = threading.Thread(
            target=self.simulator.run, args=(started.set,), name="gatepost-simulator", daemon=True
        )
        self._thread.start()
        if not started.wait(_START_S):
            raise RuntimeError(f"The simulator was not ready within {_START_S:.0f} seconds")

    def stop(self) -> None:
        self.simulator.stop()
        self._thread.join(_STOP_S)
        self.simulator.__exit__()


class _InProcess:
    def __init__(self, options: _Options) -> None:
        command = [sys.executable, "-m", "gatepost_simulator", "--json", "--until-stdin-closes"]
        command += ["--host", options.host, "--port", str(options.port), "--tls" if options.tls else "--no-tls"]
        if options.cert_dir is not None:
            command += ["--cert-dir", str(options.cert_dir)]
        with tempfile.TemporaryDirectory(prefix="gatepost-simulator-") as directory:
            config = Path(directory, "settings.json")
            config.write_text(json.dumps(options.settings))
            command += ["--config", str(config)]
            self._process = subprocess.Popen(  # noqa: S603 - our own module, with arguments made above
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self.process_id = self._process.pid
            self.ready = self._read_ready()

    def _read_ready(self) -> dict[str, Any]:
        output = self._process.stdout
        line = output.readline() if output else ""
        if not line:
            self.stop()
            raise RuntimeError(
                f"The simulator did not start (exit status {self._process.returncode}), see its messages"
            )
        ready: dict[str, Any] = json.loads(line)
        return ready

    def stop(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


class SimulatorServer:
    """A running simulator.

    In its own process (the default) it does not share the interpreter lock with the caller, and ends with it. In a
    thread it starts faster, and `simulator.tenant` is accessible.

    Args:
        tls: Serve https; `ca_file` is then what clients must trust.
        port: The port; 0 takes a free one.
        host: The address to bind.
        in_thread: Run in this process.
        cert_dir: The directory for certificates and keys; None for a temporary one.
        **settings: Members of `settings.SimulatorSettings`, as JSON values: `quota={"plan": "free"}`.

    Raises:
        RuntimeError: It did not start.
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
        options = _Options(tls=tls, port=port, host=host, cert_dir=cert_dir, settings=settings)
        self._running: _InThread | _InProcess = _InThread(options) if in_thread else _InProcess(options)
        ready = self._running.ready
        self.url: str = ready["url"]
        self.domain: str = ready["domain"]
        self.issuer: str = ready["issuer"]
        self.ca_file: str | None = ready["ca_file"]
        self.client_certificate_file: str | None = ready["client_certificate_file"]
        self.assertion_key_file: str = ready["assertion_key_file"]
        self.control = ControlClient(self.url, self.ca_file)

    @property
    def process_id(self) -> int:
        """The process that serves; this one, if the server runs in a thread."""
        return self._running.process_id

    @property
    def simulator(self) -> Simulator:
        """The simulator itself, of a server in a thread.

        Raises:
            RuntimeError: The server runs in a process of its own.
        """
        if isinstance(self._running, _InThread):
            return self._running.simulator
        raise RuntimeError("The simulator runs in another process; start it with SimulatorServer(in_thread=True)")

    def stop(self) -> None:
        """Stop serving; safe to call twice."""
        self._running.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
