"""One sweep at a time in the whole fleet. The lock can be taken, and a run noted, also while Redis is full: a sweep ends things."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from redis.lock import Lock

from gatepost_core.redis.errors import answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

_LASTS_S: Final = 60
# redis-py repeats a call whose reply was lost, and whose lock it then is.
_TAKE: Final = """#!lua flags=allow-oom
return redis.call('GET', KEYS[1]) == ARGV[1] or redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
"""
_NOTE: Final = """#!lua flags=allow-oom
local clock = redis.call('TIME')
redis.call('SET', KEYS[1], clock[1] * 1000 + math.floor(clock[2] / 1000))
"""


class _SweepLock(Lock):
    def do_acquire(self, token: str) -> bool:
        return bool(self.redis.eval(_TAKE, 1, self.name, token, _LASTS_S * 1000))


@contextmanager
def sweep_lock(client: Redis, name: str) -> Iterator[Callable[[], Any] | None]:
    """Hold a lock, and give what prolongs it; None while another process holds it.

    Raises:
        Unavailable: Redis did not answer.
    """
    lock = _SweepLock(client, name, timeout=_LASTS_S, blocking=False)
    with answering():
        taken = lock.acquire()
    if not taken:
        yield None
        return

    def prolong() -> None:
        with answering():
            lock.reacquire()

    try:
        yield prolong
    finally:
        with answering():
            lock.release()


def note_run(client: Redis, key: str) -> None:
    """Note that a sweep has ended just now: milliseconds since the epoch, by Redis's clock."""
    with answering():
        client.eval(_NOTE, 1, key)
