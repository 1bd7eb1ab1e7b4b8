"""Whether enough replicas have what was just written: what survives a failover, and what does not."""

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
"""How long work rests that could not be replicated."""


@dataclass(frozen=True, slots=True)
class Replication:
    """Asks for a number of replicas; with none asked for, everything is replicated enough."""

    client: Redis
    keys: RedisKeys
    replicas: int

    def reached(self, key: str, written: Mapping[str, str]) -> bool:
        """Return whether so many replicas have what was just written into a hash.

        Args:
            key: the hash.
            written: fields and values of it.

        Raises:
            Unavailable: Redis did not answer.
        """
        if not self.replicas:
            return True
        # WAIT counts what its own connection wrote last; replication keeps the order of all writes, so a replica that has the mark
        # has what came before it too.
        with translated_errors():
            pipe = self.client.pipeline(transaction=False)
            pipe.set(self.keys.replication, 1, px=_WAIT_MS)
            pipe.wait(self.replicas, _WAIT_MS)
            # After a failover in between, this is another master: the mark is on its replicas, and what was written never reached it.
            pipe.hmget(key, list(written))
            _, replicas, found = pipe.execute()
        return int(replicas) >= self.replicas and [value and value.decode() for value in found] == list(
            written.values()
        )
