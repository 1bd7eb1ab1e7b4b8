"""Waits until enough replicas have a write, so that it survives a failover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatepost_core.redis.errors import translated_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

_WAIT_MS: Final = 1000
AWAY_S: Final = 5.0
"""Seconds until work that was not replicated is tried again."""


@dataclass(frozen=True, slots=True)
class Replication:
    """Waits for a number of replicas. With 0, every write counts as replicated."""

    client: Redis
    keys: RedisKeys
    replicas: int

    def reached(self, key: str, written: Mapping[str, str]) -> bool:
        """Return whether enough replicas have a write to a hash.

        Args:
            key: the hash.
            written: the fields and values that were written.

        Raises:
            Unavailable: Redis did not answer.
        """
        if not self.replicas:
            return True
        # WAIT counts replicas that have the last write of its own connection, so write a mark. Replication keeps the order of writes: a
        # replica with the mark also has the earlier write.
        with translated_errors():
            pipe = self.client.pipeline(transaction=False)
            pipe.set(self.keys.replication, 1, px=_WAIT_MS)
            pipe.wait(self.replicas, _WAIT_MS)
            # After a failover this may be another master, which has the mark but not the earlier write. So read the write back.
            pipe.hmget(key, list(written))
            _, replicas, found = pipe.execute()
        return int(replicas) >= self.replicas and [value and value.decode() for value in found] == list(
            written.values()
        )
