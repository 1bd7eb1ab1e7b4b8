"""Runs the simulator on a socket, in the calling thread."""

from __future__ import annotations

import socket
import ssl
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from gatepost_simulator.authentication_api import AuthenticationApi
from gatepost_simulator.certificates import write_assertion_key, write_certificates
from gatepost_simulator.control_api import CONTROL, control_application
from gatepost_simulator.settings import ASSERTION_CLIENT_ID, Client
from gatepost_simulator.tenant import Tenant
from gatepost_simulator.transport import SimulatorProtocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from starlette.types import ASGIApp, Receive, Scope, Send

    from gatepost_simulator.certificates import CertificateFiles
    from gatepost_simulator.settings import SimulatorSettings

_ANY_HOST = ("0.0.0.0", "::", "127.0.0.1", "::1", "")  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class Ready:
    """The addresses and files of a running simulator."""

    url: str
    domain: str
    issuer: str
    ca_file: str | None
    client_certificate_file: str | None
    assertion_key_file: str


class Simulator:
    """A bound simulator. `run` serves until `stop`; as a context manager it closes its socket and deletes its files.

    Args:
        settings: The tenant.
        host: The address to bind.
        port: The port; 0 takes a free one.
        tls: Serve https with a certificate of a fresh authority.
        cert_dir: The directory for certificates and keys; None for a temporary one.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        cert_dir: Path | None = None,
    ) -> None:
        self._stack = ExitStack()
        directory = cert_dir or Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-simulator-"))
        )
        self._socket = self._stack.enter_context(_bound(host, port))
        name = "localhost" if host in _ANY_HOST else host
        port = self._socket.getsockname()[1]
        scheme = "https" if tls else "http"
        files = write_certificates(directory, [name, settings.domain.partition(":")[0]]) if tls else None
        self.tenant = Tenant(settings, f"{name}:{port}", scheme)
        assertion_key = directory / "assertion-key.pem"
        self._register_assertion_key(assertion_key)
        self.ready = Ready(
            url=f"{scheme}://{name}:{port}",
            domain=self.tenant.domain,
            issuer=f"https://{self.tenant.domain}/",
            ca_file=str(files.authority) if files else None,
            client_certificate_file=str(files.client) if files else None,
            assertion_key_file=str(assertion_key),
        )
        self._server = _Server(_configuration(self.tenant, files))

    def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until `stop`, calling back once connections are accepted."""
        self._server.on_ready = on_ready
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Make `run` return; open connections are closed."""
        self._server.should_exit = True
        self._server.force_exit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _register_assertion_key(self, path: Path) -> None:
        """Create a key for the default assertion client, unless the settings have one."""
        client = self.tenant.clients.find(ASSERTION_CLIENT_ID)
        if client is not None and not client.public_keys:
            key = write_assertion_key(path)
            self.tenant.register_client(
                Client(client_id=ASSERTION_CLIENT_ID, method="private_key_jwt", public_keys=[key])
            )


class _Server(uvicorn.Server):
    """A uvicorn server that calls back when it is ready."""

    on_ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.on_ready()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _configuration(tenant: Tenant, files: CertificateFiles | None) -> uvicorn.Config:
    return uvicorn.Config(
        _application(tenant),
        http=SimulatorProtocol,
        ws="none",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=4096,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        ssl_certfile=files.server if files else None,
        ssl_ca_certs=str(files.authority) if files else None,
        ssl_cert_reqs=ssl.CERT_OPTIONAL if files else ssl.CERT_NONE,
    )


def _application(tenant: Tenant) -> ASGIApp:
    control = control_application(tenant)
    authentication = AuthenticationApi(tenant)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        is_control = scope["type"] != "http" or scope["path"].startswith(CONTROL)
        await (control if is_control else authentication)(scope, receive, send)

    return application
