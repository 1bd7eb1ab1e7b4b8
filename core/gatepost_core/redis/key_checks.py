"""Compares the keys of this process with those of the workers, by check values in Redis that reveal nothing of a key.

Workers and `gatepost keys rotate` write the check values; producers only read them. Without them, a producer with a wrong key would record
operations that no worker can open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.errors import ConfigurationError, KeyMismatch
from gatepost_core.redis.errors import REDIS_URL, diagnosed_errors, translated_errors
from gatepost_core.redis.keys import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing import Keyring
    from gatepost_core.sealing.fingerprints import Fingerprints

FINGERPRINT: Final = ":fingerprint"
"""The field of the fingerprint key's check value. The id of a sealing key cannot have a colon."""
# A key that has sealed nothing may be replaced by another with the same id, as on the day of the installation.
_WRITE: Final = """#!lua flags=allow-oom
local wrong = {}
local stored = redis.call('HLEN', KEYS[2]) > 0
for at = 1, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[at])
  local used = redis.call('HEXISTS', KEYS[2], ARGV[at]) == 1 or (ARGV[at] == ':fingerprint' and stored)
  if known and known ~= ARGV[at + 1] and used then wrong[#wrong + 1] = ARGV[at] end
end
if #wrong == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return wrong
"""


class KeyChecks:
    """Compares the keys of this process with those of the workers."""

    def __init__(self, client: Redis, keys: RedisKeys, keyring: Keyring, fingerprints: Fingerprints) -> None:
        self._redis = client
        self._keys = keys
        self._keyring = keyring
        self._own = {**keyring.checks, FINGERPRINT: fingerprints.check}
        self._write = client.register_script(_WRITE)
        self._required = False

    def require_once(self) -> None:
        """Call `require`, unless it has succeeded before."""
        if not self._required:
            self.require()
            self._required = True

    def require(self) -> None:
        """Check that this process can open stored values, and that the workers can open its values. For producers; one round trip.

        Raises:
            KeyMismatch: the workers have another key with the same id, or lack the key that seals here.
            ConfigurationError: the ring lacks a key that stored values need.
            Unavailable: Redis did not answer. Nothing was recorded.
        """
        with diagnosed_errors(self._redis, REDIS_URL), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(self._keys.kids)
            pipeline.hgetall(self._keys.key_checks)
            used, known = pipeline.execute()
        self._require(as_text(kid) for kid in used)
        self._compare({as_text(name): as_text(check) for name, check in known.items()})

    def require_used(self) -> None:
        """Check that this process can open stored values. For workers: the others are compared with their keys.

        Raises:
            ConfigurationError: the ring lacks a key that stored values need.
            Unavailable: Redis did not answer.
        """
        with diagnosed_errors(self._redis, REDIS_URL):
            used = self._redis.hgetall(self._keys.kids)
        self._require(map(as_text, used))

    def publish(self) -> None:
        """Store the check values of this process's keys. For workers and `gatepost keys`.

        Raises:
            KeyMismatch: stored values were sealed with another key of the same id.
            Unavailable: Redis did not answer.
        """
        with diagnosed_errors(self._redis, REDIS_URL):
            arguments = [text for pair in self._own.items() for text in pair]
            wrong = self._write(keys=[self._keys.key_checks, self._keys.kids], args=arguments)
        if wrong:
            raise _mismatch(sorted(map(as_text, wrong)))

    def forget_fingerprint(self) -> bool:
        """Drop the fingerprint key's check value, after that key was replaced on purpose. Return False if there is none."""
        with translated_errors():
            return bool(self._redis.hdel(self._keys.key_checks, FINGERPRINT))

    def _require(self, used: Iterable[str]) -> None:
        if missing := sorted(set(used) - set(self._keyring.kids)):
            raise ConfigurationError(
                f"GATEPOST_SEALING_KEYS lacks {', '.join(missing)}, which stored values are sealed with; add it at the end, "
                "or re-seal them where the key still exists: gatepost keys rotate"
            )

    def _compare(self, known: dict[str, str]) -> None:
        if wrong := sorted(name for name, check in self._own.items() if known.get(name, check) != check):
            raise _mismatch(wrong)
        first, theirs = self._keyring.kids[0], sorted(set(known) - {FINGERPRINT})
        if theirs and first not in theirs:
            raise KeyMismatch(
                f"GATEPOST_SEALING_KEYS begins with {first}, which no worker has; they have {', '.join(theirs)}. "
                "Add it at the end of the workers' GATEPOST_SEALING_KEYS first.",
                (first,),
            )


def _mismatch(names: list[str]) -> KeyMismatch:
    kids = tuple(name for name in names if name != FINGERPRINT)
    texts = [f"GATEPOST_SEALING_KEYS has a key {', '.join(kids)} that differs from the workers'"] if kids else []
    if len(kids) < len(names):
        texts.append("GATEPOST_FINGERPRINT_KEY differs from the workers'")
    return KeyMismatch(
        f"{'; '.join(texts)}. Copy the workers' value; if the key was replaced on purpose: gatepost keys forget {kids[0] if kids else 'fingerprint-key'}",
        kids,
    )
