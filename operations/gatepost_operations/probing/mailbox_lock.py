"""The lock of a probe on its mailbox: two probes at once would take each other's codes."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from gatepost_core.redis.errors import translated_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

_LOOK_EVERY_S: Final = 0.25


@contextmanager
def mailbox_lock(
    client: Redis, name: str, *, lifetime_s: float, wait_s: float, on_wait: Callable[[], None]
) -> Iterator[bool]:
    """Hold the lock, and yield whether it was free in time.

    Args:
        client: the ledger's Redis.
        name: the lock's key.
        lifetime_s: seconds after which Redis frees the lock of a probe that was killed.
        wait_s: seconds to wait for another probe.
        on_wait: called if another probe holds it.

    Raises:
        Unavailable: Redis did not answer.
    """
    lock = Lock(client, name, timeout=lifetime_s, sleep=_LOOK_EVERY_S, blocking=False)
    with translated_errors():
        taken = lock.acquire()
    if not taken:
        on_wait()
        with translated_errors():
            taken = lock.acquire(blocking=True, blocking_timeout=wait_s)
    try:
        yield taken
    finally:
        if taken:
            with translated_errors(), suppress(LockNotOwnedError):
                lock.release()
