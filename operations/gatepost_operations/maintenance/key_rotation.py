"""Re-seal all stored values with the ring's first key, so that the other keys can be removed.

A rotation is one pass with SCAN. It replaces a value only if the value has not changed since it was read, so workers and producers keep running.
After an interruption, run it again: values that are sealed with the first key already are only read.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.error_boundary import boundary, callback_of_caller
from gatepost_core.errors import SealError
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import moment
from gatepost_core.sealing import Purpose, kid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from redis import Redis

    from gatepost_core.audit_log import AuditLog
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing import Keyring

_PAGE: Final = 500
# A value that changes during its re-sealing is read again. Most changes seal it with the first key, so three reads are enough.
_TRIES: Final = 3

# The header names the key, so the rest of a batch stays on the server.
_HEADERS: Final = """#!lua flags=no-writes
local found = {}
for at, key in ipairs(KEYS) do
  local name = ARGV[at]
  local value = redis.pcall('HGET', key, name)
  found[at] = type(value) == 'string' and value:match('^[^.]*')
end
return found
"""
_REPLACE: Final = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
local clock = redis.call('TIME')
redis.call('HSET', KEYS[2], ARGV[4], clock[1] * 1000 + math.floor(clock[2] / 1000))
return 1
"""
# A key that has sealed a value since is kept: a process may store values during a rotation.
_FORGET: Final = """#!lua flags=allow-oom
local last = redis.call('HGET', KEYS[1], ARGV[1])
if not last or tonumber(last) >= tonumber(ARGV[2]) then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""


class Sealed(StrEnum):
    """The kinds of values that are sealed with the ring. The results of logins are not: each has a key of its redeem token."""

    COMMAND = "command"
    ROWS = "rows"
    AUTH_PARAMS = "auth_params"
    DEAD_LETTER = "dead_letter"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class _Place:
    """The Redis key and field of one sealed value."""

    kind: Sealed
    key: str
    field: str
    purpose: Purpose


@dataclass(slots=True)
class Inventory:
    """The number of values sealed with each key, by kind."""

    counts: Counter[tuple[str, Sealed]] = field(default_factory=Counter)

    def of(self, kid: str) -> dict[Sealed, int]:
        """Return how many values need a key, by kind."""
        return {kind: number for (named, kind), number in self.counts.items() if named == kid and number}

    @property
    def kids(self) -> set[str]:
        """The ids of the keys that at least one value needs."""
        return {kid for (kid, _), number in self.counts.items() if number}


@dataclass(slots=True)
class RotationResult:
    """The result of a rotation.

    Attributes:
        first: the id of the ring's first key.
        resealed: how many values were re-sealed, by kind.
        left: the values that are still sealed with other keys, because the ring does not have those keys or the values are damaged.
        forgotten: the ids of the keys that no value needs any more.
    """

    first: str
    resealed: Counter[Sealed] = field(default_factory=Counter)
    left: Inventory = field(default_factory=Inventory)
    forgotten: list[str] = field(default_factory=list)


class KeyUsage:
    """The keys that have sealed stored values. Every script that stores a sealed value records its key's id in the same step."""

    def __init__(self, client: Redis, keys: RedisKeys) -> None:
        self._redis = client
        self._keys = keys
        self._forget = client.register_script(_FORGET)

    def last_used(self) -> dict[str, datetime]:
        """Return when each key last sealed a stored value, by key id.

        Raises:
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            found = self._redis.hgetall(self._keys.kids)
        return {_text(kid): moment(_text(at)) for kid, at in found.items()}

    def forget(self, kid: str, *, unused_since_ms: float = math.inf) -> bool:
        """Remove the record of a key.

        Args:
            kid: the key's id.
            unused_since_ms: keep the record if the key has sealed a value since, by the server's clock [default: always remove it].

        Returns:
            Whether a record was removed.
        """
        with translated_errors():
            return bool(self._forget(keys=[self._keys.kids, self._keys.key_checks], args=[kid, unused_since_ms]))


@boundary
class Rotation:
    """Lists and re-seals the stored values. Every method raises `Unavailable` when Redis does not answer."""

    def __init__(self, client: Redis, keys: RedisKeys, keyring: Keyring, audit: AuditLog) -> None:
        self._redis = client
        self._keys = keys
        self._places = _Places(keys)
        self._keyring = keyring
        self._audit = audit
        self._usage = KeyUsage(client, keys)
        self._headers = client.register_script(_HEADERS)
        self._replace = client.register_script(_REPLACE)

    def look(self, on_progress: Callable[[int, int], None] | None = None) -> Inventory:
        """Return which keys the stored values are sealed with.

        Args:
            on_progress: called with the number of Redis keys read, and their approximate total.
        """
        found = Inventory()
        for page in self._pages(on_progress):
            found.counts.update((kid, place.kind) for place, kid in self._sealed(page))
        return found

    def run(self, on_progress: Callable[[int, int], None] | None = None) -> RotationResult:
        """Re-seal every value with the ring's first key, and forget the keys that no value needs any more.

        Args:
            on_progress: as for `look`.
        """
        done = RotationResult(self._keyring.kids[0])
        with self._audit.act("keys.rotate", to=done.first) as found:
            with translated_errors():
                seconds, micros = self._redis.time()
            started_ms = int(seconds) * 1000 + int(micros) // 1000
            for page in self._pages(on_progress):
                for place, kid in self._sealed(page):
                    if kid != done.first:
                        self._reseal(place, kid, done)
            for kid in sorted(set(self._usage.last_used()) - {done.first} - done.left.kids):
                if self._usage.forget(kid, unused_since_ms=started_ms):
                    done.forgotten.append(kid)
            left = sum(done.left.counts.values())
            found.update(resealed=sum(done.resealed.values()), left=left, forgotten=done.forgotten)
        return done

    def _pages(self, on_progress: Callable[[int, int], None] | None) -> Iterator[list[_Place]]:
        report = on_progress and callback_of_caller(on_progress)
        with translated_errors():
            total = int(self._redis.dbsize())
        cursor, seen = 0, 0
        while True:
            with translated_errors():
                cursor, keys = self._redis.scan(cursor, count=_PAGE)
            seen += len(keys)
            yield [place for key in keys if (place := self._places.of(_text(key))) is not None]
            if report is not None:
                report(seen, max(total, seen))
            if not cursor:
                return

    def _sealed(self, places: Sequence[_Place]) -> Iterator[tuple[_Place, str]]:
        if not places:
            return
        with translated_errors():
            found = self._headers(keys=[place.key for place in places], args=[place.field for place in places])
        for place, value in zip(places, found, strict=True):
            kid = None if value is None else kid_of(_text(value))
            if kid is not None:
                yield place, kid

    def _reseal(self, place: _Place, kid: str, done: RotationResult) -> None:
        for _ in range(_TRIES):
            with translated_errors():
                value: Any = self._redis.hget(place.key, place.field)
            text = None if value is None else _text(value)
            if text is None or kid_of(text) in {done.first, None}:
                return
            try:
                fresh = self._fresh(place, text)
            except SealError:
                break
            with translated_errors():
                if self._replace(keys=[place.key, self._keys.kids], args=[place.field, text, fresh, done.first]):
                    done.resealed[place.kind] += 1
                    return
        done.left.counts[kid, place.kind] += 1

    def _fresh(self, place: _Place, text: str) -> str:
        return self._keyring.seal(self._keyring.open(text, place.purpose), place.purpose)


class _Places:
    """Tells which Redis keys hold sealed values."""

    def __init__(self, keys: RedisKeys) -> None:
        self._prefixes = (
            (keys.operation(""), Sealed.COMMAND, "command", Purpose.command),
            (keys.dead_letter(""), Sealed.DEAD_LETTER, "sealed", Purpose.dead_letter),
            (keys.webhook(""), Sealed.WEBHOOK, "sealed", Purpose.webhook),
        )
        self._campaign, self._batch = keys.campaign_pattern, keys.batch_pattern

    def of(self, key: str) -> _Place | None:
        """Return the sealed value that a Redis key holds, if any."""
        for prefix, kind, name, purpose in self._prefixes:
            if key.startswith(prefix):
                return _Place(kind, key, name, purpose(key.removeprefix(prefix)))
        if batch := self._batch.fullmatch(key):
            return _Place(Sealed.ROWS, key, "rows", Purpose.rows(batch["campaign"], int(batch["number"])))
        if campaign := self._campaign.fullmatch(key):
            return _Place(Sealed.AUTH_PARAMS, key, "auth_params", Purpose.auth_params(campaign["campaign"]))
        return None


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
