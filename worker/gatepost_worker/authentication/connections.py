"""The connections of the built-in adapter: they mark the moment of the write, and are reused only if that cannot mix up responses.

`http.client` takes any interim response but 100 for the final one, and discards the bytes that follow a response. On a reused connection
either would give the next request this response.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import BadStatusLine, HTTPResponse, UnknownProtocol, parse_headers
from typing import Any, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from gatepost_worker.authentication.http_exchange import current_exchange
from gatepost_worker.authentication.sockets import DeadlineSocket, Resolver, connect, is_idle, is_silent

DEFAULT_IDLE_S: Final = 30.0
INTERIM_LIMIT: Final = 16
_INTERIM: Final = range(100, 200)
_BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class StrictResponse(HTTPResponse):
    """Skips interim responses, and closes the socket unless the response's end is certain and no byte follows it.

    Source: RFC 9110, section 15.2; RFC 9112, section 6.3.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._sock = sock

    def begin(self) -> None:
        """Read the status line and the headers of the final response.

        Raises:
            HTTPException: they are not HTTP, or do not tell where the response ends.
        """
        if self.headers is not None:
            return
        super().begin()
        lengths = self.headers.get_all("Content-Length", [])
        codings = self.headers.get_all("Transfer-Encoding", [])
        if len(set(lengths)) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
            raise BadStatusLine("the response's length is not one number")
        if self.status in _BODILESS:
            self.chunked, self.length = False, 0
        plain = not codings or (len(codings) == 1 and self.chunked and not lengths)
        # http.client reads only the first of several Connection headers.
        closes = any("close" in options.lower() for options in self.headers.get_all("Connection", []))
        if not plain or len(lengths) > 1 or self.headers.defects or closes:
            self.will_close = True

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(INTERIM_LIMIT):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # typeshed lacks it
            if status not in _INTERIM:
                return version, status, reason
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise UnknownProtocol("101 Switching Protocols")
            parse_headers(self.fp)
        raise BadStatusLine(f"more than {INTERIM_LIMIT} interim responses")

    def _close_conn(self) -> None:
        silent = False
        with suppress(OSError, ValueError):
            silent = is_silent(self._sock, self.fp.read)
        super()._close_conn()  # type: ignore[misc]  # as above
        if not silent:
            self._sock.close()


class TrackedConnection(HTTPConnection):
    """Marks the write on the current exchange. It is reused only if no byte waits to be read and it has not been idle for long."""

    response_class = StrictResponse
    idle_limit_s: float = DEFAULT_IDLE_S
    resolver: Resolver = staticmethod(socket.getaddrinfo)
    _connecting = False
    _last_used = 0.0
    _parts: list[bytes] | None = None

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
        """Connect. A CONNECT request to a proxy does not count as the write."""
        self._connecting = True
        try:
            super().connect()
        finally:
            self._connecting = False

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Write the request in one piece, so that it has one packet and one moment of departure."""
        parts: list[bytes] = []
        self._parts = parts
        try:
            super().request(*args, **kwargs)
        finally:
            self._parts = None
        self.send(b"".join(parts))

    def send(self, data: Any) -> None:
        """Send, and mark that the request may have left from now on."""
        if self._parts is not None:
            self._parts.append(data)
            return
        if self.sock is None:
            self.connect()
        exchange = current_exchange()
        if exchange is not None and not self._connecting:
            if exchange.remaining() <= 0:
                raise TimeoutError("the total deadline has passed")
            if not is_idle(self.sock):
                raise ConnectionError("the peer sent bytes before the request or closed the connection")
            self._last_used = time.monotonic()
            exchange.write_began_at = exchange.write_began_at or self._last_used
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Whether the connection can be reused: open as far as this end can see, silent, and not idle for long."""
        if self.sock is None or time.monotonic() - self._last_used > self.idle_limit_s:
            return False
        try:
            return is_idle(self.sock)
        except (OSError, ValueError):
            return False


class TrackedTlsConnection(TrackedConnection, HTTPSConnection):
    """The same over TLS."""
