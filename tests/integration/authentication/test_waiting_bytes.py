"""Waiting bytes on a connection prevent its reuse, except TLS handshake records."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from urllib3.util.ssl_ import create_urllib3_context

from gatepost_worker.authentication.connections import TrackedConnection
from gatepost_worker.authentication.http_exchange import open_exchange
from gatepost_worker.authentication.sockets import DeadlineSocket, DeadlineTlsSocket, is_idle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.tls_authority import Authority


class Server:
    """The server's end of a TLS 1.3 connection, which sends its bytes when the test allows it."""

    def __init__(self, context: ssl.SSLContext, sock: socket.socket) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._sock = sock

    def shake_hands(self) -> None:
        """Keep the session tickets back, which are the last bytes of a handshake."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.release()
                self._incoming.write(self._sock.recv(65536))
            else:
                return

    def say(self, data: bytes) -> None:
        self._tls.write(data)
        self.release()

    def bid_farewell(self) -> None:
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.unwrap()
        self.release()

    def release(self) -> int:
        """Release the held bytes, and return their number."""
        return self._sock.send(self._outgoing.read() or b"") if self._outgoing.pending else 0


@pytest.fixture
def ends(authority: Authority) -> Iterator[tuple[DeadlineTlsSocket, Server]]:
    """Both ends of a TLS 1.3 connection; the session tickets have not left."""
    context = authority.server_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    ours, theirs = socket.socketpair()
    with ExitStack() as stack:
        stack.enter_context(theirs)
        server = Server(context, theirs)
        hands = threading.Thread(target=server.shake_hands)
        hands.start()
        client_context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        client_context.sslsocket_class = DeadlineTlsSocket
        client_context.load_verify_locations(authority.bundle)
        client = stack.enter_context(client_context.wrap_socket(ours, server_hostname="localhost"))
        hands.join()
        assert isinstance(client, DeadlineTlsSocket)
        yield client, server


def readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 10)[0])


def test_session_tickets_leave_a_connection_usable(ends: tuple[DeadlineTlsSocket, Server]) -> None:
    """They make the socket readable, and are no answer."""
    client, server = ends
    assert server.release() > 0
    assert readable(client)

    assert is_idle(client)
    assert is_idle(client)
    assert client.gettimeout() is None


def test_a_decrypted_byte_ends_a_connection(ends: tuple[DeadlineTlsSocket, Server]) -> None:
    """Also behind tickets."""
    client, server = ends
    server.say(b"HTTP/1.1 200 OK\r\n")
    assert readable(client)

    assert not is_idle(client)


def test_bytes_that_openssl_has_decrypted_already_count(ends: tuple[DeadlineTlsSocket, Server]) -> None:
    """The socket is not readable any more, and the bytes wait above it."""
    client, server = ends
    server.say(b"two")
    assert client.recv(1) == b"t"
    assert not select.select([client], [], [], 0)[0]

    assert not is_idle(client)


def test_a_farewell_ends_a_connection(ends: tuple[DeadlineTlsSocket, Server]) -> None:
    """The record that says goodbye is the end of the stream."""
    client, server = ends
    server.bid_farewell()
    assert readable(client)

    assert not is_idle(client)


def test_a_broken_record_ends_a_connection(ends: tuple[DeadlineTlsSocket, Server]) -> None:
    """It is an error of the connection, which its user takes for the end."""
    client, server = ends
    server._sock.send(b"\x17\x03\x03\x00\x05wrong")
    assert readable(client)

    with pytest.raises(OSError, match=r"(?i)mac|decryption|record"):
        is_idle(client)


def test_a_plain_socket_is_silent_until_bytes_or_the_end_come() -> None:
    """It does not wait either."""
    ours, theirs = socket.socketpair()
    with DeadlineSocket(fileno=ours.detach()) as sock, theirs:
        silent = is_idle(sock)
        theirs.send(b"x")
        with_bytes = is_idle(sock)
        theirs.shutdown(socket.SHUT_WR)
        at_the_end = is_idle(sock)

    assert (silent, with_bytes, at_the_end) == (True, False, False)


def test_nothing_is_written_to_a_server_that_speaks_first() -> None:
    """Bytes that came before the request cannot be its response, and the request has surely not left."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = TrackedConnection("127.0.0.1", listener.getsockname()[1])
        connection.connect()
        theirs, _ = listener.accept()
        with theirs, open_exchange(time.monotonic() + 60) as attempt:
            theirs.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert connection.sock is not None
            assert readable(connection.sock)
            with pytest.raises(ConnectionError, match="before the request"):
                connection.request("POST", "/oauth/token", body=b"username=x")
            connection.close()

        assert attempt.write_began_at is None
