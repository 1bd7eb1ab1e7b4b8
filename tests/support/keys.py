"""The names of keys and queues under the default namespace, for tests that look into Redis."""

from __future__ import annotations

from typing import Final

from gatepost_core.redis.keys import RedisKeys

KEYS: Final = RedisKeys()
