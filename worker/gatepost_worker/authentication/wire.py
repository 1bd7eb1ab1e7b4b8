"""Carries many calls at once on one event loop, which runs in a thread. The first call starts it.

It sends nothing a second time: a request that was written has one outcome, whatever the server or the connection does afterwards. No HTTP
library is between, because each of them repeats some requests by itself. httptools parses the responses; uvloop runs the loop where it is
installed.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gatepost_worker.authentication.wire_connection import Connection, Readiness, WireCall
from gatepost_worker.authentication.wire_opening import Addresses, open_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost_worker.authentication.routes import Route
    from gatepost_worker.authentication.sockets import Resolver

fast_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop as fast_event_loop
except ImportError:  # there is no wheel for this platform
    fast_event_loop = asyncio.new_event_loop

MOST_CALLS: Final = 400
_LOOKS: Final = 3
_JOIN_S: Final = 5.0
_END_LOOK_S: Final = 0.005


class Wire:
    """The calls and the connections of one process. Safe for many threads; create it after a fork."""

    def __init__(
        self,
        *,
        calls: int = MOST_CALLS,
        resolver: Resolver = socket.getaddrinfo,
        new_event_loop: Callable[[], asyncio.AbstractEventLoop] = fast_event_loop,
    ) -> None:
        """Prepare; the loop starts with the first call.

        Args:
            calls: connections at once, at most. The callers see to it that no more calls are under way.
            resolver: resolves names.
            new_event_loop: makes the loop.
        """
        self._new_traffic = partial(_Traffic, calls, resolver, new_event_loop)
        self._lock = threading.Lock()
        self._traffic: _Traffic | None = None

    def send(self, route: Route, calls: Sequence[WireCall]) -> None:
        """Begin calls. Each call's `done` takes its outcome, on the loop's thread; on this one if the loop cannot run.

        Args:
            route: where to.
            calls: the calls.
        """
        try:
            # Within the lock, so that no call reaches a loop after its end.
            with self._lock:
                if self._traffic is None:
                    self._traffic = _start(self._new_traffic())
                self._traffic.loop.call_soon_threadsafe(self._traffic.begin, route, calls)
        except (RuntimeError, OSError):  # no thread or no file descriptor is left
            for call in calls:
                call.fail(ConnectionError("the loop does not run"))

    def close(self) -> None:
        """Close every connection and end the loop. Calls under way end as lost. A later call starts another loop."""
        with self._lock:
            traffic, self._traffic = self._traffic, None
            if traffic is not None:
                traffic.loop.call_soon_threadsafe(traffic.end)
        if traffic is not None:
            traffic.thread.join(_JOIN_S)


class _Traffic:
    """One loop with its calls and connections. Its methods run on the loop's thread."""

    def __init__(self, most: int, resolver: Resolver, new_event_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.loop = new_event_loop()
        self.loop.set_exception_handler(_ignore)
        self.thread = threading.Thread(target=self._run, name="gatepost-wire", daemon=True)
        self._most = most
        self._addresses = Addresses(resolver)
        self._idle: dict[Route, list[Connection]] = {}
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._ends = False

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def begin(self, route: Route, calls: Sequence[WireCall]) -> None:
        """Begin calls."""
        for call in calls:
            self._begin(route, call)

    def end(self) -> None:
        """End the calls under way, and then the loop."""
        self._ends = True
        for task in self._opening:
            task.cancel()
        for connection in tuple(self._connections):
            connection.close()
        self._idle.clear()
        self.loop.call_later(_END_LOOK_S, self._stop_when_empty, time.monotonic() + _JOIN_S)

    def _stop_when_empty(self, until: float) -> None:
        if (self._connections or self._opening) and time.monotonic() < until:
            self.loop.call_later(_END_LOOK_S, self._stop_when_empty, until)
        else:
            self.loop.stop()

    def _begin(self, route: Route, call: WireCall, looks: int = 0) -> None:
        if self._ends:
            call.fail(ConnectionError("the client was closed"))
            return
        try:
            self._carry(route, call, looks)
        except Exception as error:  # noqa: BLE001 - the call must end, and must not take the others along
            call.fail(error)

    def _carry(self, route: Route, call: WireCall, looks: int) -> None:
        """Give a call the connection that was used last, or open one."""
        idle = self._idle.setdefault(route, [])
        newest_unused = time.monotonic() - route.idle_s
        while idle:
            connection = idle.pop()
            readiness = connection.readiness() if connection.used_at > newest_unused else Readiness.CLOSED
            if readiness is Readiness.UNREAD and looks < _LOOKS:
                # The loop reads the bytes first: after session tickets the connection is still good.
                idle.append(connection)
                self.loop.call_soon(self._begin, route, call, looks + 1)
                return
            if readiness is Readiness.READY:
                connection.carry(call)
                return
            connection.close()
        if len(self._connections) + len(self._opening) >= self._most:
            self._close_an_idle_one()
        task = self.loop.create_task(self._open(route, call))
        self._opening.add(task)
        task.add_done_callback(partial(self._opened, call))

    async def _open(self, route: Route, call: WireCall) -> None:
        try:
            connection = await open_connection(route, call, self._addresses, partial(self._connection, route))
            self._connections.add(connection)
            for _ in range(_LOOKS):
                if connection.readiness() is not Readiness.UNREAD:
                    break
                await asyncio.sleep(0)
            if connection.readiness() is Readiness.CLOSED:
                self._connections.discard(connection)  # it may be lost already
                connection.refuse(call)
            else:
                connection.carry(call)
        except Exception as error:  # noqa: BLE001 - the call must end, whatever broke
            call.fail(error)

    def _opened(self, call: WireCall, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        # A task that is cancelled before its first step runs no clean-up.
        if task.cancelled():
            call.fail(ConnectionError("the client was closed"))

    def _connection(self, route: Route, sock: socket.socket) -> Connection:
        return Connection(
            sock, tls=route.tls is not None, freed=partial(self._freed, route), lost=partial(self._lost, route)
        )

    def _freed(self, route: Route, connection: Connection) -> None:
        self._idle.setdefault(route, []).append(connection)

    def _lost(self, route: Route, connection: Connection) -> None:
        self._connections.discard(connection)
        idle = self._idle.get(route, [])
        if connection in idle:
            idle.remove(connection)

    def _close_an_idle_one(self) -> None:
        for idle in self._idle.values():
            if idle:
                idle.pop(0).close()
                return


def _start(traffic: _Traffic) -> _Traffic:
    """Start a loop's thread."""
    try:
        traffic.thread.start()
    except RuntimeError:
        traffic.loop.close()
        raise
    return traffic


def _ignore(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    """Print nothing, because the loop's text can contain a request. Every call has a deadline that ends it."""
