"""Wakes the waiting thread: notices of ended operations over one connection, and a bell for this process."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's own

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

_CHANNELS: Final = 500
_SILENCE_S: Final = 25.0
_ANSWER_S: Final = 10.0


class Notices:
    """A subscription to ended operations. Not thread-safe. After an error of redis-py, close it."""

    def __init__(self, client: Redis, keys: RedisKeys, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = client.connection_pool
        self._keys = keys
        self._monotonic = monotonic
        self._connection: Any = None
        self._heard_at = 0.0
        self._asked = False
        self.followed: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    def fileno(self) -> int:
        """Return the socket's number, for `select`."""
        # redis-py has no public name for its socket. A test fails when this one changes.
        number: int = self._connection._sock.fileno()  # noqa: SLF001
        return number

    def open(self) -> None:
        """Connect."""
        self._connection = self._pool.get_connection()
        self._heard_at, self._asked = self._monotonic(), False

    def follow(self, operation_ids: Collection[str]) -> None:
        """Subscribe to operations. `read` returns each one when its subscription has begun."""
        self._send("SUBSCRIBE", operation_ids)
        self.followed.update(operation_ids)

    def leave(self, operation_ids: Collection[str]) -> None:
        """Unsubscribe."""
        self._send("UNSUBSCRIBE", operation_ids)
        self.followed.difference_update(operation_ids)

    def read(self) -> set[str]:
        """Return the operations to read: those that have ended, and those whose subscription has begun."""
        found: set[str] = set()
        while self._connection.can_read(0):
            answer = self._connection.read_response()
            self._heard_at, self._asked = self._monotonic(), False
            if isinstance(answer, list) and answer[0] in {b"message", b"subscribe"}:
                found.add(self._keys.operation_id_of(answer[1].decode()))
        self._check()
        return found

    def close(self) -> None:
        """Close the connection. After `open`, it follows no operation."""
        self.followed.clear()
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.disconnect()
            self._pool.release(connection)

    def _check(self) -> None:
        # A dead connection looks like a silent one, so ask.
        silent = self._monotonic() - self._heard_at
        if silent > _SILENCE_S + _ANSWER_S and self._asked:
            raise ConnectionError("the subscription is silent")
        if silent > _SILENCE_S and not self._asked:
            self._asked = True
            self._connection.send_command("PING", check_health=False)

    def _send(self, command: str, operation_ids: Iterable[str]) -> None:
        keys = iter([self._keys.operation(operation_id) for operation_id in operation_ids])
        while some := [*islice(keys, _CHANNELS)]:
            self._connection.send_command(command, *some, check_health=False)


class Bell:
    """Wakes a thread that sleeps in `select`. Any thread may ring it."""

    def __init__(self) -> None:
        self._heard, self._pulled = socket.socketpair()
        for end in (self._heard, self._pulled):
            end.setblocking(False)

    def fileno(self) -> int:
        """Return the socket's number, for `select`."""
        return self._heard.fileno()

    def ring(self) -> None:
        """Wake the thread, or prevent its next sleep."""
        # OSError: the buffer is full, so the bell rings already, or the bell is closed.
        with suppress(OSError):
            self._pulled.send(b"\0")

    def quiet(self) -> None:
        """Stop ringing."""
        with suppress(BlockingIOError):
            self._heard.recv(1 << 16)

    def close(self) -> None:
        """Close both ends."""
        self._heard.close()
        self._pulled.close()
