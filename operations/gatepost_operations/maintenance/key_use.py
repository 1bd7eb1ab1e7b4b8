"""Which keys of the ring stored values need: every script that stores a sealed value notes its key's id in the same step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.ledger import moment
from gatepost_core.redis.errors import answering

if TYPE_CHECKING:
    from datetime import datetime

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

# Only if nothing was sealed with it since: what a process stores during a rotation keeps its key.
_FORGET: Final = """#!lua flags=allow-oom
local last = redis.call('HGET', KEYS[1], ARGV[1])
if not last or tonumber(last) >= tonumber(ARGV[2]) then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""


class KeyUse:
    """The ids of the keys that stored values may need."""

    def __init__(self, client: Redis, keys: RedisKeys) -> None:
        self._redis = client
        self._keys = keys
        self._forget = client.register_script(_FORGET)

    def last_used(self) -> dict[str, datetime]:
        """Return the ids, each with the moment at which it sealed a stored value last.

        Raises:
            Unavailable: Redis did not answer.
        """
        with answering():
            found = self._redis.hgetall(self._keys.kids)
        return {_text(kid): moment(_text(at)) for kid, at in found.items()}

    def forget(self, kid: str, *, unused_since_ms: int | None = None) -> bool:
        """Drop an id; False when it is not there, or has sealed something since.

        Args:
            kid: the key's id.
            unused_since_ms: by the server's clock; None drops it whatever was sealed with it.
        """
        since = float("inf") if unused_since_ms is None else unused_since_ms
        with answering():
            return bool(self._forget(keys=[self._keys.kids, self._keys.key_checks], args=[kid, since]))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
