"""A server over bare sockets, for faults that no HTTP library produces: drip, break off, go silent, answer with noise."""

from __future__ import annotations

import json
import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import parse_qs

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    Behaviour = Callable[["Wire", "Heard"], bool | None]


_HEARD_S = 60.0
STARTED = b'{"_id": "6492b5a75bedeae7449299fa", "email": "user@example.com", "email_verified": false}'


@dataclass
class Heard:
    """One request as it came over the wire."""

    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class Wire:
    """One connection. `stop` is set when the server closes, so that nothing waits longer than a test.

    `closed` is set after the system has closed the socket. `sock.fileno()` is -1 a moment earlier.
    """

    sock: socket.socket
    stop: threading.Event
    closed: threading.Event = field(default_factory=threading.Event)
    buffer: bytes = b""
    reads: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def respond(self, status: int = 200, body: bytes | dict[str, Any] = STARTED, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Content-Length": str(len(raw)), **{name.replace("_", "-"): value for name, value in headers.items()}}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self.write(f"HTTP/1.1 {status} Made Up\r\n{head}\r\n".encode() + raw)

    def drip(self, data: bytes, every_s: float = 0.02) -> None:
        """Send a byte at a time, again and again, until the other end has had enough."""
        while not self.stop.wait(every_s):
            self.write(data[:1])
            data = data[1:] + data[:1]

    def hang(self) -> None:
        """Say nothing until the other end goes or the server closes."""
        self.sock.settimeout(0.05)
        while not self.stop.is_set():
            with suppress(TimeoutError):
                if not self.sock.recv(1):
                    return

    def reset(self) -> None:
        """Close with a reset instead of a farewell."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def heard(self, connection: int) -> Heard | None:
        """Read one request; None when the other end has closed."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return None
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        self.buffer = rest
        while len(self.buffer) < length:
            if not self._more():
                return None
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Heard(first.split(" ")[1], headers, body, connection)

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except OSError:
            return False
        self.buffer += data
        if data:
            self.reads.append(data)
        return bool(data)


class SocketServer:
    """Serves every connection on a thread. A behaviour returns False to close the connection; `greet` acts before any request."""

    def __init__(
        self, behave: Behaviour, *, tls: ssl.SSLContext | None = None, greet: Callable[[Wire], None] | None = None
    ) -> None:
        self._behave = behave
        self._tls = tls
        self._greet = greet
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[Heard] = []
        self.wires: list[Wire] = []
        self.failures: list[Exception] = []

    def until_heard(self) -> None:
        """Wait until a request that was written has been read."""
        give_up = time.monotonic() + _HEARD_S
        while not self.heard:
            assert time.monotonic() < give_up
            time.sleep(0.01)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._listener.close()
        for wire in self.wires:
            with suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _start(self, run: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        self._listener.settimeout(0.05)
        while not self.stop.is_set():
            with suppress(TimeoutError, OSError):
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(30)
                self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        wire = Wire(sock, self.stop)
        number = len(self.wires)
        self.wires.append(wire)
        with suppress(OSError):  # the test expects the client to hang up
            if self._greet:
                self._greet(wire)
            if self._tls:
                wire.sock = self._tls.wrap_socket(sock, server_side=True)
            self._converse(wire, number)
        with suppress(OSError):
            wire.sock.close()
        wire.closed.set()

    def _converse(self, wire: Wire, number: int) -> None:
        while (heard := wire.heard(number)) is not None:
            self.heard.append(heard)
            if self._behave(wire, heard) is False:
                return


def relay(wire: Wire, heard: Heard) -> bool:
    """Behave as a proxy does on CONNECT: reach the target and carry bytes both ways until either end has gone."""
    host, _, port = heard.target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as upstream:
        wire.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        _carry_both_ways(wire.sock, upstream)
    return False


def _carry_both_ways(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes on one thread. Two threads must not use one TLS socket: a read beside a write can look like the end."""
    target = {one: other, other: one}
    with suppress(OSError), selectors.DefaultSelector() as selector:
        for end in target:
            selector.register(end, selectors.EVENT_READ)
        while ready := selector.select(30):
            for key, _ in ready:
                source = cast("socket.socket", key.fileobj)
                data = source.recv(65536)  # more than one TLS record, so OpenSSL keeps none back
                if not data:
                    return
                target[source].sendall(data)
