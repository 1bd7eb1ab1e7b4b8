"""Opens connections for `wire`: resolves, connects, asks a proxy for a tunnel, and shakes hands."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from urllib3.exceptions import ProxyError
from urllib3.util.connection import allowed_gai_family

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost_worker.authentication.routes import Proxy, Route
    from gatepost_worker.authentication.sockets import Address, Resolver
    from gatepost_worker.authentication.wire_connection import Connection, WireCall

_KNOWN_FOR_S: Final = 10.0
_TUNNEL_HEAD: Final = 1 << 14


class Addresses:
    """The addresses of hosts. Calls that begin together share one look-up. It belongs to one loop."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._found: dict[tuple[str, int], tuple[float, asyncio.Future[list[Address]]]] = {}

    async def of(self, host: str, port: int) -> Sequence[Address]:
        """Return a host's addresses.

        Raises:
            socket.gaierror: the name did not resolve.
        """
        at, found = self._found.get((host, port), (0.0, None))
        stale = found is None or (found.done() and time.monotonic() - at > _KNOWN_FOR_S)
        if found is None or stale:
            found = self._look_up(host, port)
        try:
            return tuple(await asyncio.shield(found))
        except OSError:
            self.forget(host, port)
            raise

    def forget(self, host: str, port: int) -> None:
        """Look a host up again next time."""
        self._found.pop((host, port), None)

    def prefer(self, host: str, port: int, chosen: Address) -> None:
        """Try an address first from now on."""
        _, found = self._found.get((host, port), (0.0, None))
        if found is not None and found.done() and found.exception() is None:
            found.result().sort(key=lambda one: one != chosen)

    def _look_up(self, host: str, port: int) -> asyncio.Future[list[Address]]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Address]] = loop.create_future()
        # Not awaited by a call that ran out of time.
        found.add_done_callback(lambda done: done.cancelled() or done.exception())

        def settle(addresses: Sequence[Address] | None, error: Exception | None) -> None:
            if found.done():
                return
            if error is not None or addresses is None:
                found.set_exception(error or OSError("the name has no addresses"))
            else:
                found.set_result(list(addresses))

        def resolve() -> None:
            addresses: Sequence[Address] | None = None
            failure: Exception | None = None
            try:
                addresses = self._resolver(host, port, allowed_gai_family(), socket.SOCK_STREAM)
            except UnicodeError:
                failure = socket.gaierror(socket.EAI_NONAME, "the name is malformed")
            except Exception as error:  # noqa: BLE001 - a resolver can raise anything
                failure = error
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle, addresses, failure)

        # A separate thread, because `getaddrinfo` cannot be interrupted and must not delay the end of the process.
        try:
            threading.Thread(target=resolve, name="gatepost-resolver", daemon=True).start()
        except RuntimeError:
            raise OSError("no thread is left to resolve the name") from None
        self._found[(host, port)] = (time.monotonic(), found)
        return found


async def open_connection(
    route: Route, call: WireCall, addresses: Addresses, wrap: Callable[[socket.socket], Connection]
) -> Connection:
    """Return a new connection.

    Args:
        route: where to.
        call: the call that needs it; its timeouts apply.
        addresses: resolves names.
        wrap: makes the connection's protocol for its socket.

    Raises:
        OSError: the connection failed; `translate` names the cause.
        TimeoutError: it took too long.
    """
    until = time.monotonic() + _patience(call)
    async with asyncio.timeout(_patience(call)):
        if route.proxy is None:
            sock = await _connect(route.host, route.port, addresses, until)
        else:
            sock = await _connect_through(route.proxy, route, addresses, until)
    try:
        async with asyncio.timeout(_patience(call)):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: wrap(sock),
                sock=sock,
                ssl=route.tls,
                server_hostname=route.host if route.tls else None,
            )
    except BaseException:
        sock.close()
        raise
    return connection


def _patience(call: WireCall) -> float:
    return max(0.0, min(call.connect_s, call.exchange.remaining()))


async def _connect(host: str, port: int, addresses: Addresses, until: float) -> socket.socket:
    """Return a connection to the first address that accepts one. Each address has an equal part of the time that is left."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError("the name has no addresses")
    found = await addresses.of(host, port)
    for left, one in zip(range(len(found), 0, -1), found, strict=True):
        family, kind, protocol, _, address = one
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout((until - time.monotonic()) / left):
                await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            if left < len(found):
                addresses.prefer(host, port, one)
            return sock
    addresses.forget(host, port)
    raise failure


async def _connect_through(proxy: Proxy, route: Route, addresses: Addresses, until: float) -> socket.socket:
    try:
        sock = await _connect(proxy.host, proxy.port, addresses, until)
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise
        raise ProxyError("the proxy cannot be reached", error) from None
    try:
        await _ask_for_tunnel(sock, proxy, route)
    except BaseException:
        sock.close()
        raise
    return sock


async def _ask_for_tunnel(sock: socket.socket, proxy: Proxy, route: Route) -> None:
    loop = asyncio.get_running_loop()
    host = f"[{route.host}]" if ":" in route.host else route.host
    target = f"{host}:{route.port}".encode("idna" if not route.host.isascii() else "ascii")
    await loop.sock_sendall(sock, b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, target, proxy.headers))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # A byte at a time: the next ones may belong to the tunnel.
        byte = await loop.sock_recv(sock, 1)
        if not byte or len(head) > _TUNNEL_HEAD:
            raise ProxyError("the proxy closed the connection", OSError("no answer to CONNECT"))
        head += byte
    version, _, rest = head.partition(b" ")
    status = rest[:3].decode("latin-1")
    if not version.startswith(b"HTTP/1.") or not status.startswith("2"):
        raise OSError(f"Tunnel connection failed: {status}")
