"""The connections to a Redis that the producers of a process share, and the thread that waits there for all of them."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from gatepost.waits import Waits
from gatepost_core.errors import ProducerClosed
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import RedisKeys

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatepost_core.settings import Settings

# A call takes Redis a fraction of a millisecond; more connections than these would wait for the interpreter.
_MOST_CONNECTIONS: Final = 2


class Client(Redis):
    """A client over connections that others use too. Closed, it raises `ProducerClosed`."""

    closed = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command, and return the answer."""
        self.require_open()
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # redis-py has no hint for it

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:  # noqa: FBT001, FBT002 - redis-py's signature
        """Return a pipeline."""
        self.require_open()
        return super().pipeline(transaction, shard_hint)

    def require_open(self) -> None:
        """Raise `ProducerClosed` once it is closed."""
        if self.closed:
            raise ProducerClosed

    def close(self) -> None:
        """Refuse from now on. The connections are others' too, and stay."""
        self.closed = True


class Lease:
    """A producer's part in the connections to one Redis. Thread-safe.

    Attributes:
        client: the producer's client, which refuses once this is closed.
        waits: what waits for the ends of operations.
    """

    def __init__(self, settings: Settings) -> None:
        self._key = _key_of(settings)
        shared = _take(self._key, settings)
        self.client = Client(connection_pool=shared.client.connection_pool)
        self.waits = shared.waits

    def close(self) -> None:
        """Give it back. Those that wait get `ProducerClosed`; the last one closes the connections."""
        if self.client.closed:
            return
        self.client.close()
        self.waits.end(self.client, ProducerClosed)
        _give_back(self._key)


class _Shared:
    def __init__(self, settings: Settings) -> None:
        self.client = connect(settings, most=_MOST_CONNECTIONS)
        # What breaks is connected anew by the thread.
        self.subscriber = connect(settings, most=1, repeats=0)
        self.waits = Waits(self.client, self.subscriber, RedisKeys(settings.namespace))
        self.leases = 0

    def close(self) -> None:
        self.waits.stop()
        # What another thread uses in this moment is left to it.
        for client in (self.client, self.subscriber):
            client.connection_pool.disconnect(inuse_connections=False)


_lock = threading.Lock()
_shared: dict[Hashable, _Shared] = {}
_forks_are_noticed = False


def _take(key: Hashable, settings: Settings) -> _Shared:
    global _forks_are_noticed  # noqa: PLW0603 - once a process, and importing does nothing
    with _lock:
        if not _forks_are_noticed:
            os.register_at_fork(after_in_child=_begin_anew)
            _forks_are_noticed = True
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


def _begin_anew() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent's may hold it
    _lock = threading.Lock()
    for shared in _shared.values():
        shared.waits.forget_the_parent()


def _key_of(settings: Settings) -> Hashable:
    files = settings.redis_ca_bundle, settings.redis_certificate, settings.redis_key
    return settings.redis_url.get_secret_value(), settings.namespace, settings.sentinel_master, files
