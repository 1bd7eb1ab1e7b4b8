"""What wakes the thread that waits: notices of operations that ended, over one connection, and a bell for its own process."""

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
    """A subscription. Not safe to share between threads. Every method raises redis-py's errors, and is then to be closed."""

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
        # redis-py shows its socket nowhere; a test fails when this name moves.
        number: int = self._connection._sock.fileno()  # noqa: SLF001
        return number

    def open(self) -> None:
        """Connect."""
        self._connection = self._pool.get_connection()
        self._heard_at, self._asked = self._monotonic(), False

    def follow(self, operation_ids: Collection[str]) -> None:
        """Subscribe to the ends of operations. `read` names each once the subscription counts."""
        self._send("SUBSCRIBE", operation_ids)
        self.followed.update(operation_ids)

    def leave(self, operation_ids: Collection[str]) -> None:
        """Unsubscribe."""
        self._send("UNSUBSCRIBE", operation_ids)
        self.followed.difference_update(operation_ids)

    def read(self) -> set[str]:
        """Return the operations to look at: those that ended, and those that are subscribed to since."""
        found: set[str] = set()
        while self._connection.can_read(0):
            answer = self._connection.read_response()
            self._heard_at, self._asked = self._monotonic(), False
            if isinstance(answer, list) and answer[0] in {b"message", b"subscribe"}:
                found.add(self._keys.operation_id_of(answer[1].decode()))
        self._check()
        return found

    def close(self) -> None:
        """Close the connection; it can be opened again, and follows nothing then."""
        self.followed.clear()
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.disconnect()
            self._pool.release(connection)

    def _check(self) -> None:
        # A connection whose other end is gone without a word looks like one on which nothing happens.
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
    """Wakes the thread that rests in `select`. Rung by any thread."""

    def __init__(self) -> None:
        self._heard, self._pulled = socket.socketpair()
        for end in (self._heard, self._pulled):
            end.setblocking(False)

    def fileno(self) -> int:
        """Return the socket's number, for `select`."""
        return self._heard.fileno()

    def ring(self) -> None:
        """Wake the thread, or keep it from its next rest."""
        # A full buffer rings already, and a closed one has no thread.
        with suppress(OSError):
            self._pulled.send(b"\0")

    def quiet(self) -> None:
        """Forget that it was rung."""
        with suppress(BlockingIOError):
            self._heard.recv(1 << 16)

    def close(self) -> None:
        """Close both ends."""
        self._heard.close()
        self._pulled.close()
