"""One call over `wire`, and the connection that carries it: one call at a time, and none again if that could mix up responses."""

from __future__ import annotations

import asyncio
import socket
import time
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from gatepost_worker.authentication.boundary import bare
from gatepost_worker.authentication.http_exchange import Exchange
from gatepost_worker.authentication.rate_limits import parse_rate_limits
from gatepost_worker.authentication.responses import HttpResponse
from gatepost_worker.authentication.transport_failures import TRANSPORT_ERRORS, translate
from gatepost_worker.authentication.wire_response import ResponseReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_worker.authentication.configuration import Timeouts

Outcome = HttpResponse | BaseException
"""A response of any status; else an `AuthenticationError`, or an error in the client itself."""

_CLOCK_TICK_S: Final = 0.005  # an event loop's timers may be early by as much


class WireCall:
    """One request on its way. `done` is called once, on the thread of the loop, whatever happens."""

    __slots__ = ("_done", "connect_s", "exchange", "read_s", "request")

    def __init__(self, request: bytes, timeouts: Timeouts, done: Callable[[Outcome], None]) -> None:
        """Prepare the call; its total deadline begins now.

        Args:
            request: the bytes to write.
            timeouts: the timeouts.
            done: takes the outcome.
        """
        total_s = timeouts.total.total_seconds()
        self.request = request
        self.connect_s = min(timeouts.connect.total_seconds(), total_s)
        self.read_s = min(timeouts.read.total_seconds(), total_s)
        self.exchange = Exchange(time.monotonic() + total_s, tracked=True)
        self._done: Callable[[Outcome], None] | None = done

    def finish(self, outcome: Outcome) -> None:
        """Hand over the outcome, unless there is one already."""
        done, self._done = self._done, None
        if done is not None:
            done(outcome)

    def fail(self, error: BaseException, reader: ResponseReader | None = None) -> None:
        """Hand over the typed error for an exception.

        Args:
            error: the exception.
            reader: holds the part of the response that was read.
        """
        if not isinstance(error, TRANSPORT_ERRORS):
            self.finish(bare(error))
            return
        if isinstance(error, TimeoutError) and self.exchange.remaining() <= _CLOCK_TICK_S:
            self.exchange.deadline = 0.0
        status = None if reader is None else reader.status
        failure = translate(error, self.exchange, status)
        if reader is not None and status is not None:
            failure.rate_limits = parse_rate_limits(reader.headers, now_epoch_s=time.time())
        self.finish(failure)


class Readiness(Enum):
    """Whether a request can be written to a connection."""

    READY = auto()
    UNREAD = auto()
    """Bytes of TLS wait to be read; they may be session tickets."""
    CLOSED = auto()
    """It is closed, or the peer has sent bytes that belong to no request."""


class Connection(asyncio.Protocol):
    """One connection. The loop calls its methods."""

    def __init__(
        self, sock: socket.socket, *, tls: bool, freed: Callable[[Connection], None], lost: Callable[[Connection], None]
    ) -> None:
        """Take over a connected socket.

        Args:
            sock: the socket below the transport; it is only looked at.
            tls: whether the transport encrypts.
            freed: called when a call has ended and the connection may carry another.
            lost: called when the connection has closed.
        """
        self._sock = sock
        self._tls = tls
        self._freed = freed
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._reader = ResponseReader()
        self._transport: asyncio.Transport | None = None
        self._call: WireCall | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._read_until = 0.0
        self.used_at = time.monotonic()
        self._ended_by: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a connection's transport

    def readiness(self) -> Readiness:
        """Return whether a request can be written now. Nothing is waited for."""
        if self._transport is None or self._transport.is_closing():
            return Readiness.CLOSED
        try:
            waiting = self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return Readiness.READY
        except OSError:
            return Readiness.CLOSED
        return Readiness.UNREAD if waiting and self._tls else Readiness.CLOSED

    def carry(self, call: WireCall) -> None:
        """Write a call's request. From now on it may have been carried out."""
        now = time.monotonic()
        exchange = call.exchange
        if now >= exchange.deadline:
            call.fail(TimeoutError("the total deadline has passed"))
            self._freed(self)
            return
        self._reader.begin()
        self._call = call
        self._read_until = now + call.read_s
        self._timer = self._loop.call_later(min(self._read_until, exchange.deadline) - now, self._look_at_clock)
        exchange.write_began_at = now
        if self._transport is not None:
            self._transport.write(call.request)

    def refuse(self, call: WireCall) -> None:
        """Close, and end a call whose request was not written with the error that ended the connection, such as a TLS alert."""
        if self._transport is None:
            call.fail(self._ended_by or ConnectionError("the peer closed the connection"))
            return
        self._reader.begin()
        self._call = call
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read a piece of the response."""
        if self._call is None:
            self.close()  # bytes that no request asked for
            return
        self._read_until = time.monotonic() + self._call.read_s
        try:
            if self._reader.feed(data):
                self._answered()
        except Exception as error:  # noqa: BLE001 - the call must end, whatever broke
            self._failed(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the call. Some responses end with the stream."""
        self._ended_by = exc
        if self._call is not None and exc is not None:
            self._failed(exc)
        elif self._call is not None:
            try:
                self._reader.end()
                self._answered()
            except Exception as error:  # noqa: BLE001 - as above
                self._failed(error)
        self._transport = None
        self._lost(self)

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _answered(self) -> None:
        call, reader = self._end()
        self.used_at = time.monotonic()
        try:
            response = HttpResponse(
                status=reader.status or 0,
                headers=reader.headers,
                body=reader.body(),
                sent_at=call.exchange.write_began_at,
                received_at=self.used_at,
            )
        except Exception as error:  # noqa: BLE001 - as above
            call.fail(error, reader)
        else:
            call.finish(response)
        # A server that answers before it has read the request may not read another.
        if reader.may_continue and self._transport is not None and not self._transport.get_write_buffer_size():
            self._freed(self)
        else:
            self.close()

    def _failed(self, error: BaseException) -> None:
        if self._call is not None:
            call, reader = self._end()
            call.fail(error, reader)
        self.close()

    def _end(self) -> tuple[WireCall, ResponseReader]:
        call, self._call = self._call, None
        assert call is not None  # noqa: S101 - its callers have looked
        if self._timer is not None:
            self._timer.cancel()
        return call, self._reader

    def _look_at_clock(self) -> None:
        if self._call is None:
            return
        left = min(self._read_until, self._call.exchange.deadline) - time.monotonic()
        if left > _CLOCK_TICK_S:
            self._timer = self._loop.call_later(left, self._look_at_clock)
        else:
            self._failed(TimeoutError("the response did not come in time"))
