"""A Redis and a RabbitMQ that speak TLS alone and demand a client's certificate. Both are Debian's: redis-server and rabbitmq-server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
import redis

from support.free_ports import free_port

if TYPE_CHECKING:
    from support.tls_authority import Authority

_READY_S = 120.0
_RABBITMQ = Path("/usr/lib/rabbitmq/bin")


def require_program(name: str, package: str) -> str:
    """Return a program's path; without it the test is skipped, but in CI it fails."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:{_RABBITMQ}")
    if found is None:
        reason = f"{name} is not installed (Debian: apt-get install {package})"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return str(found)


@dataclass
class Files:
    """What one side shows and trusts, in PEM files."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def issue(cls, authority: Authority, directory: Path, name: str) -> Self:
        """Issue a certificate for a name and write it down."""
        issued = authority.authority.issue_cert(name)
        files = cls(Path(authority.bundle), directory / f"{name}.pem", directory / f"{name}.key")
        issued.private_key_pem.write_to_path(str(files.key))
        for number, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(str(files.certificate), append=number > 0)
        return files

    def environment(self, service: str) -> dict[str, str]:
        """Return the settings that name these files."""
        names = {"CA_BUNDLE": self.ca, "CERTIFICATE": self.certificate, "KEY": self.key}
        return {f"GATEPOST_{service}_{name}": str(path) for name, path in names.items()}


@dataclass
class Service:
    """A server process. Use it as a context manager."""

    directory: Path
    files: Files
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def run(self, *command: str, environment: dict[str, str] | None = None) -> None:
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)

    def wait_until_it_listens(self, port: int | None = None) -> None:
        give_up = time.monotonic() + _READY_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port or self.port), timeout=1).close()
            except OSError:
                dead = any(process.poll() is not None for process in self.processes)
                if dead or time.monotonic() > give_up:
                    raise AssertionError(self.log.read_text(errors="replace")) from None
                time.sleep(0.1)
            else:
                return

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            # RabbitMQ's is a script, and the server its child.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class TlsRedis(Service):
    """A Redis with TLS on its only port."""

    def __enter__(self) -> Self:
        options = {
            "port": "0",
            "tls-port": str(self.port),
            "bind": "127.0.0.1",
            "tls-cert-file": str(self.files.certificate),
            "tls-key-file": str(self.files.key),
            "tls-ca-cert-file": str(self.files.ca),
            "tls-auth-clients": "yes",
            "dir": str(self.directory),
            "save": "",
            "appendonly": "no",
        }
        self.run(
            require_program("redis-server", "redis-server"), *(w for k, v in options.items() for w in (f"--{k}", v))
        )
        self.wait_until_it_listens()
        return self

    def client(self, files: Files) -> redis.Redis:
        """Return an administrator's client."""
        return redis.Redis(
            host="localhost",
            port=self.port,
            ssl=True,
            ssl_ca_certs=str(files.ca),
            ssl_certfile=str(files.certificate),
            ssl_keyfile=str(files.key),
            protocol=2,
        )


class TlsSentinel(Service):
    """A Sentinel with TLS on its only port, and to the one server that it names."""

    master = "gatepost-test"

    def watch(self, server: TlsRedis) -> Self:
        """Begin, for a server that is called localhost."""
        configuration = self.directory / "sentinel.conf"
        lines = [
            "port 0",
            f"tls-port {self.port}",
            "bind 127.0.0.1",
            f"tls-cert-file {self.files.certificate}",
            f"tls-key-file {self.files.key}",
            f"tls-ca-cert-file {self.files.ca}",
            "tls-auth-clients yes",
            "tls-replication yes",
            f"dir {self.directory}",
            "sentinel resolve-hostnames yes",
            "sentinel announce-hostnames yes",
            f"sentinel monitor {self.master} localhost {server.port} 1",
        ]
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.run(require_program("redis-server", "redis-server"), str(configuration), "--sentinel")
        self.wait_until_it_listens()
        return self

    def __enter__(self) -> Self:
        return self


class TlsRabbit(Service):
    """A RabbitMQ with TLS on its only port, and its own port mapper."""

    def __enter__(self) -> Self:
        server = require_program("rabbitmq-server", "rabbitmq-server")
        epmd = free_port()
        configuration = self.directory / "rabbitmq.conf"
        configuration.write_text(
            "\n".join(
                (
                    "listeners.tcp = none",
                    f"listeners.ssl.default = {self.port}",
                    f"ssl_options.cacertfile = {self.files.ca}",
                    f"ssl_options.certfile = {self.files.certificate}",
                    f"ssl_options.keyfile = {self.files.key}",
                    "ssl_options.verify = verify_peer",
                    "ssl_options.fail_if_no_peer_cert = true",
                    "",
                )
            ),
            encoding="utf-8",
        )
        enabled = self.directory / "enabled_plugins"
        enabled.write_text("[].\n", encoding="utf-8")
        self.run(require_program("epmd", "rabbitmq-server"), "-port", str(epmd), "-address", "127.0.0.1")
        # Without one the server would start a daemon that outlives it.
        self.wait_until_it_listens(epmd)
        program = str(_RABBITMQ / "rabbitmq-server") if _RABBITMQ.is_dir() else server
        environment = {
            "HOME": str(self.directory),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(configuration.with_suffix("")),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(enabled),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(epmd),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
        }
        self.run(program, environment=environment)
        self.wait_until_it_listens()
        return self
