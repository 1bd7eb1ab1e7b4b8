"""Sockets that keep the attempt's total deadline, whatever the other end does.

A socket's own timeout bounds one wait: a server that drips a byte a second never meets it. These sockets look at the deadline before every
wait and never wait longer than what is left, so that status line, headers, chunk sizes and body are all cut alike, plain or under TLS. No
thread watches, and nothing is shared: the attempt belongs to the thread that carries it out.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from urllib3.util.connection import allowed_gai_family
from urllib3.util.ssl_ import is_ipaddress

from gatepost_worker.authentication.exchange import current_exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Address = tuple[int, int, int, str, Any]


class Resolver(Protocol):
    """Resolves a name, as `socket.getaddrinfo` does."""

    def __call__(self, host: str, port: int, family: int, type: int, /) -> Sequence[Address]:  # noqa: A002 - getaddrinfo's own name
        """Return the addresses, or raise `socket.gaierror`."""


def _bound_wait(sock: socket.socket) -> None:
    """Shorten the socket's timeout to what the deadline leaves."""
    attempt = current_exchange()
    if attempt is None:
        return
    left = attempt.remaining()
    if left <= 0:
        raise TimeoutError("the total deadline has passed")
    patience = sock.gettimeout()
    if patience is None or patience > left:
        sock.settimeout(left)


class DeadlineSocket(socket.socket):
    """A TCP socket that keeps the deadline. `sendall` needs no more: its timeout covers all of the data."""

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
    """A TLS socket that keeps the deadline, the handshake's included."""

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Read decrypted bytes, within the deadline. `recv` and `recv_into` come here too."""
        _bound_wait(self)
        return super().read(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Send, within the deadline. `sendall` comes here for every piece."""
        _bound_wait(self)
        return super().send(*args, **kwargs)

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's own signature
        """Shake hands, within the deadline."""
        _bound_wait(self)
        super().do_handshake(block)


def is_silent(sock: socket.socket, read: Callable[[int], bytes | None]) -> bool:
    """Return whether nothing can be read now: no byte and no end of the stream. It does not wait.

    Over TLS this takes in handshake records, such as session tickets: they are no answer and leave the connection usable.

    Args:
        sock: the socket.
        read: reads up to so many bytes from it, or from a buffer above it. A byte that it returns is lost.

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


def connect(
    host: str,
    port: int,
    *,
    timeout: float | None,
    resolver: Resolver,
    options: Sequence[tuple[int, int, int | bytes]] = (),
) -> DeadlineSocket:
    """Return a connected socket, having tried the name's addresses in order.

    Args:
        host: a name or an address.
        port: the port.
        timeout: seconds that resolving and connecting may take together; the deadline shortens them.
        resolver: resolves the name.
        options: socket options, as `setsockopt` takes them.

    Raises:
        socket.gaierror: the name did not resolve.
        TimeoutError: neither resolved nor connected in time.
        OSError: every address refused or was unreachable.
    """
    until = None if timeout is None else time.monotonic() + timeout
    failure: OSError = OSError("the name has no addresses")
    for family, kind, protocol, _, address in _resolve(host.strip("[]"), port, timeout, resolver):
        sock = DeadlineSocket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(None if until is None else max(0.001, until - time.monotonic()))
            _bound_wait(sock)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _resolve(host: str, port: int, timeout: float | None, resolver: Resolver) -> Sequence[Address]:
    """Resolve on a thread of its own: `getaddrinfo` cannot be interrupted, and only new connections come here."""
    if is_ipaddress(host):
        return resolver(host, port, allowed_gai_family(), socket.SOCK_STREAM)
    outcome: list[Sequence[Address] | OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            outcome.append(resolver(host, port, allowed_gai_family(), socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            outcome.append(error)

    attempt = current_exchange()
    left = attempt.remaining() if attempt is not None else None
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
