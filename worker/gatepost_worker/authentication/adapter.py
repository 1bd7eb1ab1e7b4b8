"""The built-in transport adapter: requests' own, over connections that keep the deadline and mark the moment of the write."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema
from requests.utils import select_proxy
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from gatepost_worker.authentication.connections import DEFAULT_IDLE_S, TrackedConnection, TrackedTlsConnection
from gatepost_worker.authentication.http_exchange import current_exchange
from gatepost_worker.authentication.sockets import DeadlineTlsSocket, Resolver
from gatepost_worker.authentication.trust import tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_HOSTS: Final = 16  # one client calls at most two; a pool evicted for lack of room would be closed while in use


class DeadlineAdapter(HTTPAdapter):
    """requests' adapter, without retries, that keeps the total deadline and records whether the request left.

    A custom adapter that derives from it, rather than from `HTTPAdapter`, keeps both. CA certificates and the client certificate are loaded
    once and not per request, so one adapter serves one certificate.

    A short window remains: a server may close a pooled connection after it was checked and before the request is written. The failure then
    reads as "may have arrived", because nothing proves otherwise. `idle_connection` keeps the window small.
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
        """Load the certificates and set up the pool.

        Args:
            pool_size: connections kept open for one host.
            ca_bundle: a file or directory of CA certificates; None for certifi's.
            certificate: paths of a client certificate and its key.
            idle_limit_s: seconds; a connection that was idle for longer is not reused.
            resolver: resolves names.

        Raises:
            ConfigurationError: a certificate cannot be loaded.
        """
        self._trust = _context(ca_bundle)
        self._identity = self._trust if certificate is None else _context(ca_bundle, certificate)
        attributes = {"idle_limit_s": idle_limit_s, "resolver": staticmethod(resolver)}
        self._pool_classes = {
            "http": _pool_class(HTTPConnectionPool, TrackedConnection, attributes),
            "https": _pool_class(HTTPSConnectionPool, TrackedTlsConnection, attributes),
        }
        self._pools: dict[tuple[str, str | None], Any] = {}
        super().__init__(pool_connections=_HOSTS, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:  # noqa: FBT001, FBT002 - requests' signature
        """Build the pool manager over the tracked connections."""
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._identity, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Build a proxy's manager over the tracked connections. The client certificate is never presented to the proxy.

        Raises:
            InvalidSchema: the proxy speaks SOCKS; urllib3's connections for it are not tracked.
        """
        if proxy.lower().startswith("socks"):
            raise InvalidSchema("only http:// and https:// proxies can be used")
        if proxy not in self.proxy_manager:
            kwargs = {"ssl_context": self._identity, "proxy_ssl_context": self._trust, **kwargs}
            super().proxy_manager_for(proxy, **kwargs).pool_classes_by_scheme = self._pool_classes
        return super().proxy_manager_for(proxy, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing: the context is complete, and loading the bundle again costs milliseconds for every connection."""

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        """Return the pool's host only, for the same reason."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Mapping[str, str] | None = None, cert: Any = None
    ) -> Any:
        """Return the host's pool, looked up once for each URL."""
        pool: Any
        key = (str(request.url), select_proxy(str(request.url), dict(proxies)) if proxies else None)
        pool = self._pools.get(key)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, dict(proxies or {}), cert)
            self._pools[key] = pool
        exchange = current_exchange()
        if exchange is not None:
            exchange.tracked = True
        return pool

    def request_url(self, request: PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """Return the request's target: the path, or the whole URL for a proxy."""
        return super().request_url(request, dict(proxies)) if proxies else request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Build the response without a cookie jar: the API sets cookies for browsers only."""
        response = Response()
        response.status_code = resp.status
        # Also looked up without regard to case, and 14 us cheaper than a copy.
        response.headers = resp.headers
        response.raw = resp
        response.reason = resp.reason
        response.url = str(req.url)
        response.request = req
        response.connection = self
        return response

    def close(self) -> None:
        """Close the pooled connections."""
        self._pools.clear()
        super().close()


def _pool_class(base: type[HTTPConnectionPool], connection: type[TrackedConnection], attributes: dict[str, Any]) -> Any:
    tracked = type(connection.__name__, (connection,), attributes)
    return type(base.__name__, (base,), {"ConnectionCls": tracked})


def _context(ca_bundle: str | None, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    context = tls_context(ca_bundle, certificate)
    context.sslsocket_class = DeadlineTlsSocket
    return context
