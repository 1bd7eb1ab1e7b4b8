"""The connections and the waiting thread that all producers of a process share for one Redis."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from gatepost_core.errors import ProducerClosed
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import RedisKeys

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatepost.waits import Waits
    from gatepost_core.settings import Settings

# Redis answers within a fraction of a millisecond. More connections would only wait for the interpreter.
_MOST_CONNECTIONS: Final = 2


class Client(Redis):
    """A client over shared connections. After `close`, its calls raise `ProducerClosed`."""

    closed = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and return the answer."""
        self.require_open()
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # redis-py has no hint for it

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:  # noqa: FBT001, FBT002 - redis-py's signature
        """Return a pipeline."""
        self.require_open()
        return super().pipeline(transaction, shard_hint)

    def require_open(self) -> None:
        """Raise `ProducerClosed` if it is closed."""
        if self.closed:
            raise ProducerClosed

    def close(self) -> None:
        """Refuse further calls. The shared connections stay open."""
        self.closed = True


class Lease:
    """One producer's share in the connections to a Redis. Thread-safe.

    Attributes:
        client: the producer's client. It refuses calls after `close`.
    """

    def __init__(self, settings: Settings) -> None:
        self._key = _key_of(settings)
        self._shared = _take(self._key, settings)
        self.client = Client(connection_pool=self._shared.client.connection_pool)

    @property
    def waits(self) -> Waits:
        """The waits for operations."""
        return self._shared.waits()

    def close(self) -> None:
        """Return the share. The producer's waits end with `ProducerClosed`. The last share closes the connections."""
        if self.client.closed:
            return
        self.client.close()
        self._shared.end_waits(self.client)
        _give_back(self._key)


class _Shared:
    def __init__(self, settings: Settings) -> None:
        self.client = connect(settings, most=_MOST_CONNECTIONS)
        # The thread reconnects by itself.
        self.subscriber = connect(settings, most=1, repeats=0)
        self.leases = 0
        self._keys = RedisKeys(settings.namespace)
        self._waits: Waits | None = None

    def waits(self) -> Waits:
        # Imported here, because an application that only sends should not load it.
        from gatepost.waits import Waits  # noqa: PLC0415

        with _lock:
            if self._waits is None:
                self._waits = Waits(self.client, self.subscriber, self._keys)
            return self._waits

    def end_waits(self, owner: Client) -> None:
        if self._waits is not None:
            self._waits.end(owner, ProducerClosed)

    def reset(self) -> None:
        if self._waits is not None:
            self._waits.reset()

    def close(self) -> None:
        if self._waits is not None:
            self._waits.stop()
        # A connection that another thread is using is left open.
        for client in (self.client, self.subscriber):
            client.connection_pool.disconnect(inuse_connections=False)


_lock = threading.Lock()
_shared: dict[Hashable, _Shared] = {}
_is_registered = False


def _take(key: Hashable, settings: Settings) -> _Shared:
    global _is_registered  # noqa: PLW0603 - once a process; an import must have no effects
    with _lock:
        if not _is_registered:
            os.register_at_fork(after_in_child=_reset_after_fork)
            _is_registered = True
        shared = _shared.get(key)
        if shared is None:
            shared = _shared[key] = _Shared(settings)
        shared.leases += 1
        return shared


def _give_back(key: Hashable) -> None:
    with _lock:
        shared = _shared[key]
        shared.leases -= 1
        if shared.leases:
            return
        del _shared[key]
    shared.close()


def _reset_after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may hold it
    _lock = threading.Lock()
    for shared in _shared.values():
        shared.reset()


def _key_of(settings: Settings) -> Hashable:
    files = settings.redis_ca_bundle, settings.redis_certificate, settings.redis_key
    return settings.redis_url.get_secret_value(), settings.namespace, settings.sentinel_master, files
