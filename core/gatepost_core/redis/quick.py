"""Commands over connections that are kept apart from a client's pool, for commands that may be sent a second time.

redis-py looks into a connection before each command, in case its server has closed it. Here a broken connection shows when the command
fails, and the command is sent again through the client.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from redis.exceptions import ConnectionError as Lost
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from gatepost_core.redis.errors import REPEATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import ConnectionPool, Redis

# No more than an eighth of the pool, which other commands need too.
_KEPT: Final = 8
_of_clients: Final[WeakKeyDictionary[Redis, QuickConnections]] = WeakKeyDictionary()
_lock: Final = threading.Lock()


class Broken(Exception):
    """The connection broke; the commands may have been carried out."""


class QuickConnections:
    """A few connections of one pool. Safe for threads, and after a fork.

    Attributes:
        pool: the pool.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool = pool
        self._most = min(_KEPT, pool.max_connections // 8)
        self._idle: list[Any] = []
        self._pid = os.getpid()

    def ask(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send commands in one round trip, and return each one's reply or its error.

        Raises:
            Broken: the connection broke.
            RedisError: as the client raises it.
        """
        connection = self._take()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            replies = [_reply(connection) for _ in commands]
        except BaseException as error:
            # A reply that comes later must not be taken for the next one.
            connection.disconnect()
            if isinstance(error, Lost):
                if isinstance(error.__context__, BlockingIOError):
                    raise RedisTimeout("Redis did not answer in time") from None
                raise Broken from None
            raise
        finally:
            self._put_back(connection)
        return replies

    def _take(self) -> Any:
        if self._pid != os.getpid():
            self._pid, self._idle = os.getpid(), []
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.pool.get_connection()
        _let_kernel_time_out(connection)
        return connection

    def _put_back(self, connection: Any) -> None:
        if len(self._idle) < self._most:
            self._idle.append(connection)
        else:
            if connection._sock is not None:  # noqa: SLF001 - as below
                connection._sock.settimeout(connection.socket_timeout)  # noqa: SLF001 - as below
            self.pool.release(connection)


def _let_kernel_time_out(connection: Any) -> None:
    """Give the socket's timeout to the kernel: Python polls before each read and write of a socket that has a timeout of Python's.

    With several threads each such system call also passes the interpreter on to another thread. TLS needs Python's timeout.
    """
    sock = connection._sock  # noqa: SLF001 - redis-py has no public way to its socket
    timeout_s = None if sock is None or isinstance(sock, ssl.SSLSocket) else sock.gettimeout()
    if timeout_s:
        limit = struct.pack("ll", *divmod(int(timeout_s * 1_000_000), 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        sock.settimeout(None)


def quick_connections(client: Redis) -> QuickConnections:
    """Return the client's quick connections. They are closed with its pool."""
    with _lock:
        if client not in _of_clients:
            _of_clients[client] = QuickConnections(client.connection_pool)
        return _of_clients[client]


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response(disconnect_on_error=False)
    except ResponseError as error:
        return error


class QuickScript:
    """A script of redis-py that runs over quick connections. It must give the same answer when a call is repeated.

    Attributes:
        script: its text.
        sha: the digest that Redis knows it by.
    """

    def __init__(self, client: Redis, text: str) -> None:
        self._connections = quick_connections(client)
        # A producer's client, which refuses calls after it was closed.
        self._require_open = getattr(client, "require_open", None)
        self._registered = client.register_script(text)
        self.script = text
        self.sha = self._registered.sha

    def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run the script, and return its reply.

        Raises:
            RedisError: as the client raises it. It is marked if an earlier try may have been carried out.
        """
        if self._require_open is not None:
            self._require_open()
        try:
            (reply,) = self._connections.ask([("EVALSHA", self.sha, len(keys), *keys, *args)])
        except Broken:
            return self._again(keys, args)
        if isinstance(reply, NoScriptError):
            return self._registered(keys=keys, args=args)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _again(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        try:
            return self._registered(keys=keys, args=args)
        except RedisError as error:
            setattr(error, REPEATED, True)
            raise
