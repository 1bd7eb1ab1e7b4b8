"""Re-seals everything that is stored under the ring's first key, so that the others can go.

One pass with SCAN; a value is replaced only if it is still what was read, so operations, campaigns and redemptions go on meanwhile. A run
that was interrupted is simply run again: what is under the first key already costs a look.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.error_boundary import boundary, callback_of_caller
from gatepost_core.errors import SealError
from gatepost_core.redis.errors import answering
from gatepost_core.sealing import Purpose, kid_of
from gatepost_operations.maintenance.key_use import KeyUse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redis import Redis

    from gatepost_core.audit_log import AuditLog
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing import Keyring

_PAGE: Final = 500
# A value that changes under our hands is read again; each change but a rotation's ends it, so a few times are enough.
_TRIES: Final = 3

# The header alone names the key: the rest of a batch need not travel for that. Celery's copy of a result is JSON, and short.
_HEADERS: Final = """#!lua flags=no-writes
local found = {}
for at, key in ipairs(KEYS) do
  local name = ARGV[at]
  local value
  if name == '' then value = redis.pcall('GET', key) else value = redis.pcall('HGET', key, name) end
  if type(value) ~= 'string' then value = false end
  if value and name ~= '' then value = value:match('^[^.]*') end
  found[at] = value
end
return found
"""
_REPLACE: Final = """
local value
if ARGV[1] == '' then value = redis.call('GET', KEYS[1]) else value = redis.call('HGET', KEYS[1], ARGV[1]) end
if value ~= ARGV[2] then return 0 end
if ARGV[1] == '' then redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL') else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
local clock = redis.call('TIME')
redis.call('HSET', KEYS[2], ARGV[4], clock[1] * 1000 + math.floor(clock[2] / 1000))
return 1
"""


class Sealed(StrEnum):
    """What is stored sealed."""

    COMMAND = "command"
    RESULT = "result"
    CELERY_RESULT = "celery_result"
    ROWS = "rows"
    AUTH_PARAMS = "auth_params"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one sealed value stands; `field` is empty for a plain string."""

    kind: Sealed
    key: str
    field: str
    purpose: Purpose


@dataclass(slots=True)
class Inventory:
    """How many values are sealed with each key, by what they are."""

    counts: Counter[tuple[str, Sealed]] = field(default_factory=Counter)

    def of(self, kid: str) -> dict[Sealed, int]:
        """Return how many values need a key, by what they are."""
        return {kind: number for (named, kind), number in self.counts.items() if named == kid and number}

    @property
    def kids(self) -> set[str]:
        """The ids of the keys that some value needs."""
        return {kid for (kid, _), number in self.counts.items() if number}


@dataclass(slots=True)
class RotationResult:
    """What one rotation did.

    Attributes:
        first: the id of the key that everything is sealed with now.
        resealed: how many values were re-sealed, by what they are.
        left: what is still sealed with other keys: their keys are not in the ring, or the values are damaged.
        forgotten: the ids of the keys that nothing needs any more.
    """

    first: str
    resealed: Counter[Sealed] = field(default_factory=Counter)
    left: Inventory = field(default_factory=Inventory)
    forgotten: list[str] = field(default_factory=list)


@boundary
class Rotation:
    """Looks through what is stored, and re-seals it. Every method raises `Unavailable` when Redis does not answer."""

    def __init__(self, client: Redis, keys: RedisKeys, keyring: Keyring, audit: AuditLog) -> None:
        self._redis = client
        self._keys = keys
        self._places = _Places(keys)
        self._keyring = keyring
        self._audit = audit
        self._use = KeyUse(client, keys)
        self._headers = client.register_script(_HEADERS)
        self._replace = client.register_script(_REPLACE)

    def look(self, on_progress: Callable[[int, int], None] | None = None) -> Inventory:
        """Return which keys the stored values are sealed with.

        Args:
            on_progress: is called with the number of Redis keys looked at, and about how many there are.
        """
        found = Inventory()
        for page in self._pages(on_progress):
            found.counts.update((kid, place.kind) for place, kid in self._sealed(page))
        return found

    def run(self, on_progress: Callable[[int, int], None] | None = None) -> RotationResult:
        """Re-seal everything under the ring's first key, and forget the keys that nothing needs any more.

        Args:
            on_progress: as for `look`.
        """
        done = RotationResult(self._keyring.kids[0])
        with self._audit.act("keys.rotate", to=done.first) as found:
            seconds, micros = self._time()
            started_ms = seconds * 1000 + micros // 1000
            for page in self._pages(on_progress):
                for place, kid in self._sealed(page):
                    if kid != done.first:
                        self._reseal(place, kid, done)
            for kid in sorted(set(self._use.last_used()) - {done.first} - done.left.kids):
                if self._use.forget(kid, unused_since_ms=started_ms):
                    done.forgotten.append(kid)
            left = sum(done.left.counts.values())
            found.update(resealed=sum(done.resealed.values()), left=left, forgotten=done.forgotten)
        return done

    def _time(self) -> tuple[int, int]:
        with answering():
            seconds, micros = self._redis.time()
        return int(seconds), int(micros)

    def _pages(self, on_progress: Callable[[int, int], None] | None) -> Iterator[list[_Place]]:
        report = on_progress and callback_of_caller(on_progress)
        with answering():
            total = int(self._redis.dbsize())
        cursor, seen = 0, 0
        while True:
            with answering():
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
        with answering():
            found = self._headers(keys=[place.key for place in places], args=[place.field for place in places])
        for place, value in zip(places, found, strict=True):
            kid = None if value is None else _kid(place, _text(value))
            if kid is not None:
                yield place, kid

    def _reseal(self, place: _Place, kid: str, done: RotationResult) -> None:
        for _ in range(_TRIES):
            with answering():
                value: Any = self._redis.hget(place.key, place.field) if place.field else self._redis.get(place.key)
            text = None if value is None else _text(value)
            if text is None or _kid(place, text) in {done.first, None}:
                return
            try:
                fresh = self._fresh(place, text)
            except SealError:
                break
            with answering():
                if self._replace(keys=[place.key, self._keys.kids], args=[place.field, text, fresh, done.first]):
                    done.resealed[place.kind] += 1
                    return
        done.left.counts[kid, place.kind] += 1

    def _fresh(self, place: _Place, text: str) -> str:
        if place.kind is not Sealed.CELERY_RESULT:
            return self._keyring.seal(self._keyring.open(text, place.purpose), place.purpose)
        document = json.loads(text)
        opened = self._keyring.open(document["result"], place.purpose)
        return json.dumps({**document, "result": self._keyring.seal(opened, place.purpose)})


class _Places:
    """Says which keys hold sealed values."""

    def __init__(self, keys: RedisKeys) -> None:
        self._prefixes = (
            (keys.operation(""), Sealed.COMMAND, "command", Purpose.command),
            (keys.result(""), Sealed.RESULT, "", Purpose.result),
            (keys.celery_result(""), Sealed.CELERY_RESULT, "", Purpose.result),
            (keys.dead_letter(""), Sealed.DEAD_LETTER, "sealed", Purpose.dead_letter),
        )
        self._campaign, self._batch = keys.campaign_pattern, keys.batch_pattern

    def of(self, key: str) -> _Place | None:
        """Return what a Redis key holds sealed, if anything."""
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


def _kid(place: _Place, text: str) -> str | None:
    """Return the id of the key a value is sealed with, as far as it is a sealed value of that place."""
    if place.kind is not Sealed.CELERY_RESULT:
        return kid_of(text)
    try:
        result = json.loads(text)["result"]
    except (ValueError, KeyError, TypeError):
        return None
    # Other applications may keep their results in the same Redis.
    return kid_of(result) if isinstance(result, str) and result.count(".") == _DOTS else None


_DOTS: Final = 4
