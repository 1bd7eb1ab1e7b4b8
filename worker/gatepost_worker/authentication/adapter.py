"""The built-in transport adapter: requests' own, over connections that keep the deadline and know when the write began."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from gatepost_worker.authentication.answers import Answer
from gatepost_worker.authentication.errors import ConfigurationError
from gatepost_worker.authentication.exchange import current_exchange
from gatepost_worker.authentication.sockets import DeadlineSocket, DeadlineTlsSocket, Resolver, connect, is_silent

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_IDLE_S: Final = 30.0
_HOSTS: Final = 16  # one client speaks to two at most; a pool that is dropped for want of room would be closed in use


class _TrackedConnection(HTTPConnection):
    """Marks the write on the current attempt. It is used again only if nothing waits to be read and it has not idled long."""

    response_class = Answer
    idle_limit_s: float = DEFAULT_IDLE_S
    resolver: Resolver = staticmethod(socket.getaddrinfo)
    _connecting = False
    _last_used = 0.0
    _held: list[bytes] | None = None

    def _new_conn(self) -> DeadlineSocket:
        try:
            return connect(
                self._dns_host,
                self.port,
                timeout=self.timeout,
                resolver=self.resolver,
                options=self.socket_options or (),
            )
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from None
        except TimeoutError:
            raise ConnectTimeoutError(self, "connecting timed out") from None
        except OSError as error:
            raise NewConnectionError(self, f"no connection: {type(error).__name__}") from None

    def connect(self) -> None:
        """Connect. What a proxy is told on the way is no part of the request."""
        self._connecting = True
        try:
            super().connect()
        finally:
            self._connecting = False

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Write the request in one piece: one packet, and one moment at which it may have left."""
        held: list[bytes] = []
        self._held = held
        try:
            super().request(*args, **kwargs)
        finally:
            self._held = None
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        """Send, marking that the request may have left from here on."""
        if self._held is not None:
            self._held.append(data)
            return
        if self.sock is None:
            self.connect()
        attempt = current_exchange()
        if attempt is not None and not self._connecting:
            if attempt.remaining() <= 0:
                raise TimeoutError("the total deadline has passed")
            if not is_silent(self.sock, self.sock.recv):
                raise ConnectionError("the peer sent bytes before the request or closed the connection")
            self._last_used = time.monotonic()
            attempt.write_began_at = attempt.write_began_at or self._last_used
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Whether a kept connection can be used again: open as far as this end can see, silent, and not long idle."""
        if self.sock is None or time.monotonic() - self._last_used > self.idle_limit_s:
            return False
        try:
            return is_silent(self.sock, self.sock.recv)
        except (OSError, ValueError):
            return False


class _TrackedTlsConnection(_TrackedConnection, HTTPSConnection):
    """The same under TLS."""


class DeadlineAdapter(HTTPAdapter):
    """requests' adapter, without retries of its own, that keeps the total deadline and tells whether the request left.

    Derive from it, rather than from `HTTPAdapter`, to keep both. Trust and the client certificate are settled here once and not per
    request, so one adapter serves one certificate.

    The window that remains: a server may close a kept connection after it was looked at and before the request is written. The failure
    then reads as "may have arrived", because nothing here can prove otherwise. `idle_connection` keeps that window small.
    """

    def __init__(
        self,
        *,
        pool_size: int = 64,
        ca_bundle: str | None = None,
        certificate: tuple[str, str] | None = None,
        idle_limit_s: float = DEFAULT_IDLE_S,
        resolver: Resolver = socket.getaddrinfo,
    ) -> None:
        """Settle trust and pool.

        Args:
            pool_size: connections kept open for one host.
            ca_bundle: a file or directory of CA certificates; None for certifi's.
            certificate: paths of a client certificate and its key.
            idle_limit_s: a kept connection that idle for longer is not used again.
            resolver: resolves names.
        """
        self._trust = _context(ca_bundle)
        self._identity = self._trust if certificate is None else _context(ca_bundle, certificate)
        attributes = {"idle_limit_s": idle_limit_s, "resolver": staticmethod(resolver)}
        self._pool_classes = {
            "http": _pool_class(HTTPConnectionPool, _TrackedConnection, attributes),
            "https": _pool_class(HTTPSConnectionPool, _TrackedTlsConnection, attributes),
        }
        self._pools: dict[tuple[str, str | None], Any] = {}
        super().__init__(pool_connections=_HOSTS, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:  # noqa: FBT001, FBT002 - requests' signature
        """Build the pool manager over the tracked connections."""
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._identity, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Build a proxy's manager likewise; the proxy is never shown the client certificate.

        Raises:
            InvalidSchema: the proxy speaks SOCKS, for which urllib3 has connections that keep none of this module's promises.
        """
        if proxy.lower().startswith("socks"):
            raise InvalidSchema("only http:// and https:// proxies can be used")
        if proxy not in self.proxy_manager:
            kwargs = {"ssl_context": self._identity, "proxy_ssl_context": self._trust, **kwargs}
            super().proxy_manager_for(proxy, **kwargs).pool_classes_by_scheme = self._pool_classes
        return super().proxy_manager_for(proxy, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing: the context is complete, and loading the bundle again for every connection costs milliseconds."""

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        """Return the pool's host alone, for the same reason."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Mapping[str, str] | None = None, cert: Any = None
    ) -> Any:
        """Return the host's pool, found once for each URL."""
        pool: Any
        key = (str(request.url), select_proxy(str(request.url), dict(proxies)) if proxies else None)
        pool = self._pools.get(key)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, dict(proxies or {}), cert)
            self._pools[key] = pool
        attempt = current_exchange()
        if attempt is not None:
            attempt.tracked = True
        return pool

    def request_url(self, request: PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """Return the request's target: the path alone unless a proxy needs more."""
        return super().request_url(request, dict(proxies)) if proxies else request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Build the response without a cookie jar: the API sets cookies for browsers, and nothing here keeps them."""
        response = Response()
        response.status_code = resp.status
        response.headers = (
            resp.headers
        )  # looked up without regard to case, like requests' own, and 14 us cheaper than a copy
        response.raw = resp
        response.reason = resp.reason
        response.url = str(req.url)
        response.request = req
        response.connection = self
        return response

    def close(self) -> None:
        """Close every kept connection."""
        self._pools.clear()
        super().close()


def _pool_class(
    base: type[HTTPConnectionPool], connection: type[_TrackedConnection], attributes: dict[str, Any]
) -> Any:
    tracked = type(connection.__name__, (connection,), attributes)
    return type(base.__name__, (base,), {"ConnectionCls": tracked})


def _context(ca_bundle: str | None, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.sslsocket_class = DeadlineTlsSocket
    bundle = Path(ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    try:
        context.load_verify_locations(**({"capath": str(bundle)} if bundle.is_dir() else {"cafile": str(bundle)}))
    except OSError as error:
        raise ConfigurationError(f"The CA bundle {bundle} cannot be used: {type(error).__name__}") from None
    if certificate is not None:
        try:
            context.load_cert_chain(*certificate, password="")
        except OSError as error:
            raise ConfigurationError(
                f"The client certificate {certificate[0]} or its key cannot be used: {type(error).__name__}"
            ) from None
    return context
