"""Carries one call at a time, on the thread that makes it, over connections that are kept open.

It sends nothing a second time, like `wire`, and reads responses with the same parser. The way through requests, urllib3's pool and
http.client costs several times as much, most of it for headers that are not read.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from urllib3.exceptions import NewConnectionError, ProxyError

from gatepost_worker.authentication.connections import TrackedConnection, TrackedTlsConnection
from gatepost_worker.authentication.http_exchange import Exchange, open_exchange
from gatepost_worker.authentication.rate_limits import parse_rate_limits
from gatepost_worker.authentication.responses import HttpResponse
from gatepost_worker.authentication.transport_failures import TRANSPORT_ERRORS, translate
from gatepost_worker.authentication.wire_response import ResponseReader

if TYPE_CHECKING:
    from gatepost_worker.authentication.configuration import Timeouts
    from gatepost_worker.authentication.errors import AuthenticationError
    from gatepost_worker.authentication.routes import Route
    from gatepost_worker.authentication.sockets import Resolver

_CHUNK: Final = 1 << 16


class _Line:
    """One open connection with the reader of its responses.

    Attributes:
        connection: the connection.
        reader: reads its responses.
        usable: whether the last response ended well, so that another request may follow.
    """

    def __init__(self, connection: TrackedConnection) -> None:
        self.connection = connection
        self.reader = ResponseReader()
        self.usable = False

    def carry(self, request: bytes, exchange: Exchange, read_s: float) -> HttpResponse:
        """Write a request and return its response."""
        self.usable = written = False
        reader, sock = self.reader, self.connection.sock
        reader.begin()
        if sock.gettimeout() != read_s:
            sock.settimeout(read_s)
        # A server may answer and close before it has read the request.
        with suppress(BrokenPipeError):
            self.connection.send(request)
            written = True
        while data := sock.recv(_CHUNK):
            if reader.feed(data):
                break
        else:
            reader.end()
        response = HttpResponse(
            status=reader.status or 0,
            headers=reader.headers,
            body=reader.body(),
            sent_at=exchange.write_began_at,
            received_at=time.monotonic(),
        )
        self.usable = written and bool(data) and reader.may_continue
        return response


class Direct:
    """The connections of one client. Safe for many threads; create it after a fork."""

    def __init__(self, *, kept: int, resolver: Resolver = socket.getaddrinfo) -> None:
        """Prepare; nothing is opened yet.

        Args:
            kept: idle connections of one route, at most.
            resolver: resolves names.
        """
        self._kept = kept
        self._resolver = resolver
        self._idle: dict[Route, list[_Line]] = {}

    def send(self, route: Route, request: bytes, timeouts: Timeouts) -> HttpResponse:
        """Send one request and return its response, of any status.

        Args:
            route: where to.
            request: the bytes to write.
            timeouts: the timeouts of the exchange.

        Raises:
            NotReached: nothing was sent.
            AnswerLost: the request may have been carried out.
            AnswerUnreadable: the response cannot be read.
        """
        total_s = timeouts.total.total_seconds()
        line: _Line | None = None
        with open_exchange(time.monotonic() + total_s) as exchange:
            exchange.tracked = True
            try:
                line = self._idle_one(route) or self._open(route, min(timeouts.connect.total_seconds(), total_s))
                return line.carry(request, exchange, min(timeouts.read.total_seconds(), total_s))
            except TRANSPORT_ERRORS as error:
                failure = _failure(error, exchange, line)
            finally:
                if line is not None:
                    self._put_back(route, line)
        raise failure  # outside the handler, so that it is not chained: the exception's frames hold the request

    def close(self) -> None:
        """Close the idle connections."""
        for idle in tuple(self._idle.values()):
            while idle:
                idle.pop().connection.close()

    def _idle_one(self, route: Route) -> _Line | None:
        """Return the connection that was used last, unless none can be used again."""
        idle = self._idle.setdefault(route, [])
        with suppress(IndexError):  # there is none, or another thread was faster
            while True:
                line = idle.pop()
                if line.connection.is_connected:
                    return line
                line.connection.close()
        return None

    def _put_back(self, route: Route, line: _Line) -> None:
        idle = self._idle[route]
        if line.usable and len(idle) < self._kept:
            idle.append(line)
        else:
            line.connection.close()

    def _open(self, route: Route, connect_s: float) -> _Line:
        connection = _connection(route, connect_s)
        connection.idle_limit_s = route.idle_s
        connection.resolver = self._resolver
        try:
            connection.connect()
        except NewConnectionError as error:
            raise error if route.proxy is None else ProxyError("the proxy cannot be reached", error) from None
        except BaseException:
            connection.close()
            raise
        return _Line(connection)


def _connection(route: Route, connect_s: float) -> TrackedConnection:
    near: Any = route.proxy or route
    if route.tls is None:
        return TrackedConnection(near.host, near.port, timeout=connect_s)
    connection = TrackedTlsConnection(near.host, near.port, timeout=connect_s, ssl_context=route.tls)
    if route.proxy is not None:
        lines = route.proxy.headers.decode("latin-1").splitlines()
        connection.set_tunnel(route.host, route.port, dict(line.split(": ", 1) for line in lines))
    return connection


def _failure(error: Exception, exchange: Exchange, line: _Line | None) -> AuthenticationError:
    status = None if line is None else line.reader.status
    failure = translate(error, exchange, status)
    if line is not None and status is not None:
        failure.rate_limits = parse_rate_limits(line.reader.headers, now_epoch_s=time.time())
    return failure
