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

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ImportError:  # there is no wheel for this platform
    new_event_loop = asyncio.new_event_loop

MOST_CALLS: Final = 400
_LOOKS: Final = 3
_JOIN_S: Final = 5.0


class Wire:
    """The calls and the connections of one process. Safe for many threads; create it after a fork."""

    def __init__(self, *, calls: int = MOST_CALLS, resolver: Resolver = socket.getaddrinfo) -> None:
        """Prepare; the loop starts with the first call.

        Args:
            calls: connections at once, at most. The callers see to it that no more calls are under way.
            resolver: resolves names.
        """
        self._most = calls
        self._resolver = resolver
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # Of the loop's thread alone.
        self._idle: dict[Route, list[Connection]] = {}
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()

    def send(self, route: Route, calls: Sequence[WireCall]) -> None:
        """Begin calls. Each call's `done` takes its outcome, on the loop's thread; on this one if the loop cannot run.

        Args:
            route: where to.
            calls: the calls.
        """
        try:
            self._running().call_soon_threadsafe(self._begin_all, route, calls)
        except (RuntimeError, OSError):  # no thread or no file descriptor is left, or the loop has just ended
            for call in calls:
                call.fail(ConnectionError("the loop does not run"))

    def close(self) -> None:
        """Close every connection and end the loop. Calls under way end as lost."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None:
            return
        loop.call_soon_threadsafe(self._stop, loop)
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                loop = new_event_loop()
                loop.set_exception_handler(_ignore)
                self._addresses = Addresses(self._resolver)
                self._idle, self._connections, self._opening = {}, set(), set()
                self._thread = threading.Thread(target=self._run, args=(loop,), name="gatepost-wire", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:
                    loop.close()
                    raise
                self._loop = loop
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        for task in self._opening:
            task.cancel()
        for connection in tuple(self._connections):
            connection.close()
        self._idle.clear()
        # After the callbacks that end the calls.
        loop.call_later(0.01, loop.stop)

    def _begin_all(self, route: Route, calls: Sequence[WireCall]) -> None:
        for call in calls:
            self._begin(route, call)

    def _begin(self, route: Route, call: WireCall, looks: int = 0) -> None:
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
                asyncio.get_running_loop().call_soon(self._begin, route, call, looks + 1)
                return
            if readiness is Readiness.READY:
                connection.carry(call)
                return
            connection.close()
        if len(self._connections) + len(self._opening) >= self._most:
            self._close_an_idle_one()
        task = asyncio.get_running_loop().create_task(self._open(route, call))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, route: Route, call: WireCall) -> None:
        try:
            connection = await open_connection(route, call, self._addresses, partial(self._connection, route))
            self._connections.add(connection)
            for _ in range(_LOOKS):
                if connection.readiness() is not Readiness.UNREAD:
                    break
                await asyncio.sleep(0)
            if connection.readiness() is Readiness.CLOSED:
                connection.close()
                self._connections.discard(connection)
                call.fail(ConnectionError("the peer sent bytes before the request or closed the connection"))
            else:
                connection.carry(call)
        except asyncio.CancelledError:
            call.fail(ConnectionError("the client was closed"))
        except BaseException as error:  # noqa: BLE001 - the call must end, whatever broke
            call.fail(error)

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


def _ignore(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    """Print nothing: what the loop would print can hold a request. Every call has a deadline that ends it."""
