"""Sockets that keep the total deadline of an HTTP exchange.

A socket's timeout limits one wait: a server that sends a byte a second never exceeds it. These sockets check the deadline before every wait
and wait no longer than the time left, in the status line, headers, chunk sizes and body, with or without TLS. They need no watching thread:
the exchange belongs to the thread that makes it.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from urllib3.util.connection import allowed_gai_family
from urllib3.util.ssl_ import is_ipaddress
from urllib3.util.wait import wait_for_read

from gatepost_worker.authentication.http_exchange import current_exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Address = tuple[int, int, int, str, Any]
# A wait may end this much after the deadline. To set a timeout is a system call, and most answers come long before the deadline.
_SLACK_S: Final = 0.02


class Resolver(Protocol):
    """Resolves a name, as `socket.getaddrinfo` does."""

    def __call__(self, host: str, port: int, family: int, type: int, /) -> Sequence[Address]:  # noqa: A002 - getaddrinfo's own name
        """Return the addresses, or raise `socket.gaierror`."""


def _bound_wait(sock: socket.socket) -> None:
    """Shorten the socket's timeout to the time left before the deadline."""
    exchange = current_exchange()
    if exchange is None:
        return
    left = exchange.remaining()
    if left <= 0:
        raise TimeoutError("the total deadline has passed")
    patience = sock.gettimeout()
    if patience is None or patience > left + _SLACK_S:
        sock.settimeout(left)


class DeadlineSocket(socket.socket):
    """A TCP socket that keeps the deadline. The timeout of `sendall` covers all of the data."""

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        """Receive, within the deadline."""
        _bound_wait(self)
        return super().recv(*args, **kwargs)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive into a buffer, within the deadline."""
        _bound_wait(self)
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        """Send everything, within the deadline."""
        _bound_wait(self)
        super().sendall(*args, **kwargs)


class DeadlineTlsSocket(ssl.SSLSocket):
    """A TLS socket that keeps the deadline, also in the handshake."""

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Read decrypted bytes, within the deadline. `recv` and `recv_into` call this."""
        _bound_wait(self)
        return super().read(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Send, within the deadline. `sendall` calls this for every piece."""
        _bound_wait(self)
        return super().send(*args, **kwargs)

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's own signature
        """Shake hands, within the deadline."""
        _bound_wait(self)
        super().do_handshake(block)


def is_silent(sock: socket.socket, read: Callable[[int], bytes | None]) -> bool:
    """Return whether nothing can be read now, neither a byte nor the end of the stream. It does not wait.

    Over TLS this reads waiting handshake records, such as session tickets: they belong to no response and leave the connection usable.

    Args:
        sock: the socket.
        read: reads up to a number of bytes from the socket, or from a buffer above it. A byte that it returns is lost.

    Raises:
        OSError: the connection is broken.

    Source: RFC 8446, section 4.6.
    """
    patience = sock.gettimeout()
    sock.settimeout(0)
    try:
        return read(1) is None  # a buffer says None where a socket raises
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    finally:
        sock.settimeout(patience)


def is_idle(sock: socket.socket) -> bool:
    """Return whether nothing can be read from a socket without a buffer above it: `is_silent`, with one system call in the usual case.

    Raises:
        OSError: the connection is broken.
        ValueError: the socket is closed.
    """
    has_decrypted = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
    return not (has_decrypted or wait_for_read(sock, timeout=0.0)) or is_silent(sock, sock.recv)


def connect(
    host: str,
    port: int,
    *,
    timeout: float | None,
    resolver: Resolver,
    options: Sequence[tuple[int, int, int | bytes]] = (),
) -> DeadlineSocket:
    """Return a connected socket. The name's addresses are tried in order, each for an equal part of the time that is left.

    Args:
        host: a name or an address.
        port: the port.
        timeout: the seconds that resolving and connecting may take together; the deadline may shorten them.
        resolver: resolves the name.
        options: socket options, as `setsockopt` takes them.

    Raises:
        socket.gaierror: the name did not resolve.
        TimeoutError: neither resolved nor connected in time.
        OSError: every address refused or was unreachable.
    """
    until = None if timeout is None else time.monotonic() + timeout
    failure: OSError = OSError("the name has no addresses")
    found = _resolve(host.strip("[]"), port, timeout, resolver)
    for left, (family, kind, protocol, _, address) in zip(range(len(found), 0, -1), found, strict=True):
        sock = DeadlineSocket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(None if until is None else max(0.001, (until - time.monotonic()) / left))
            _bound_wait(sock)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _resolve(host: str, port: int, timeout: float | None, resolver: Resolver) -> Sequence[Address]:
    """Resolve in a separate thread, because `getaddrinfo` cannot be interrupted. Only new connections need this."""
    if is_ipaddress(host):
        return resolver(host, port, allowed_gai_family(), socket.SOCK_STREAM)
    outcome: list[Sequence[Address] | OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            outcome.append(resolver(host, port, allowed_gai_family(), socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            outcome.append(error)

    exchange = current_exchange()
    left = exchange.remaining() if exchange is not None else None
    patience = min((limit for limit in (timeout, left) if limit is not None), default=None)
    worker = threading.Thread(target=look_up, name="gatepost-resolver", daemon=True)
    worker.start()
    worker.join(patience if patience is None else max(0.0, patience))
    if not outcome:
        raise TimeoutError("the name did not resolve in time")
    if isinstance(outcome[0], UnicodeError):
        raise socket.gaierror(socket.EAI_NONAME, "the name is malformed")
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]
