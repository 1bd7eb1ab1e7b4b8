"""Messages that no worker could take: kept sealed, with the reason, instead of lost."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.dead_letter_contents import contents_of
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import GatepostError
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.stored_values import milliseconds
from gatepost_core.sealing import Purpose, kid_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing import Keyring

DEFAULT_LIFETIME_S: Final = 30 * 86_400
_PAGE: Final = 200
# Fourteen digits, far within Python's calendar.
_LATEST_MS: Final = 99_999_999_999_999

# By the server's clock: one for all, and for the key ids.
_ADD: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local id, reason, queue, sealed, kid, lifetime = unpack(ARGV)
redis.call('HSET', KEYS[1], 'reason', reason, 'queue', queue, 'at_ms', now, 'sealed', sealed)
redis.call('PEXPIRE', KEYS[1], lifetime)
redis.call('ZADD', KEYS[2], now, id)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - lifetime)
if kid ~= '' then redis.call('HSET', KEYS[3], kid, now) end
"""
# A letter goes to its queue and out of the dead letters in one step.
_MOVE: Final = """#!lua flags=allow-oom
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('LPUSH', KEYS[3], ARGV[2])
return 1
"""
# To a broker elsewhere that takes two steps: what is marked and still there was perhaps published.
_MARK: Final = """#!lua flags=allow-oom
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if redis.call('HEXISTS', KEYS[1], 'published_perhaps') == 1 and ARGV[1] ~= 'again' then return 'interrupted' end
redis.call('HSET', KEYS[1], 'published_perhaps', 1)
return 'marked'
"""


class DeadLetterNotFound(GatepostError):
    """There is no such dead letter; it may have been replayed, dropped or forgotten."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message: everything but what it carried.

    Attributes:
        size: bytes of the sealed message.
        published_perhaps: whether a replay to another broker was interrupted, so that nobody knows whether it happened.
    """

    id: str
    reason: str
    queue: str
    at_ms: int
    size: int
    published_perhaps: bool = False

    @property
    def at(self) -> datetime:
        """When it was refused."""
        return datetime.fromtimestamp(self.at_ms / 1000, UTC)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        shown = {
            "id": self.id,
            "at": self.at.isoformat(),
            "queue": self.queue,
            "reason": self.reason,
            "size": self.size,
        }
        return shown | {"published_perhaps": self.published_perhaps}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant: those that fit everything that is given.

    Attributes:
        reason: a part of the reason; upper and lower case are the same.
        since: refused at this moment or later.
        until: refused at this moment or earlier.
        ids: only these.
    """

    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: frozenset[str] | None = None

    def fits(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        return (
            (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (self.since is None or letter.at_ms >= milliseconds(self.since))
            and (self.until is None or letter.at_ms <= milliseconds(self.until))
            and (self.ids is None or letter.id in self.ids)
        )


@boundary
class DeadLetters:
    """The refused messages. Each is forgotten after a while, because it may hold what belongs to a person."""

    def __init__(
        self, client: Redis, keys: RedisKeys, keyring: Keyring, *, lifetime_s: int = DEFAULT_LIFETIME_S
    ) -> None:
        self._redis = client
        self._keys = keys
        self._keyring = keyring
        self._lifetime_ms = lifetime_s * 1000
        self._add = client.register_script(_ADD)
        self._move = client.register_script(_MOVE)
        self._mark = client.register_script(_MARK)

    def add(self, message: dict[str, Any], *, reason: str, queue: str) -> str:
        """Store a message, sealed, and return the dead letter's id. A body that cannot be searched for a person is left out.

        Raises:
            Unavailable: Redis did not answer.
        """
        letter_id = str(uuid.uuid4())
        sealed = self._keyring.seal(contents_of(message), Purpose.dead_letter(letter_id))
        arguments: list[Any] = [letter_id, reason, queue, sealed, kid_of(sealed) or "", self._lifetime_ms]
        with translated_errors():
            self._add(
                keys=[self._keys.dead_letter(letter_id), self._keys.dead_letters, self._keys.kids], args=arguments
            )
        return letter_id

    def list(self, limit: int = 100, selection: Selection | None = None) -> list[DeadLetter]:
        """Return the newest dead letters that are meant, the newest first.

        Raises:
            Unavailable: Redis did not answer.
        """
        return [*islice(self._all(selection or Selection()), limit)]

    def select(self, selection: Selection) -> Iterator[DeadLetter]:
        """Give the dead letters that are meant, the newest first, reading page by page; what comes meanwhile is not among them.

        Raises:
            Unavailable: Redis did not answer.
        """
        return self._all(selection)

    def find(self, letter_id: str) -> DeadLetter:
        """Return one dead letter.

        Raises:
            DeadLetterNotFound: there is none of this id.
            Unavailable: Redis did not answer.
        """
        for letter in self._read([letter_id]):
            return letter
        raise DeadLetterNotFound

    def open(self, letter: DeadLetter) -> dict[str, Any]:
        """Return the message of a dead letter, in clear.

        Raises:
            DeadLetterNotFound: it is gone.
            SealError: it was changed or its key is not in the ring.
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            sealed = self._redis.hget(self._keys.dead_letter(letter.id), "sealed")
        if sealed is None:
            raise DeadLetterNotFound
        opened: dict[str, Any] = json.loads(self._keyring.open(_text(sealed), Purpose.dead_letter(letter.id)))
        return opened

    def move(self, letter_id: str, queue: str, envelope: str) -> bool:
        """Put an envelope on a queue of this Redis and forget the letter, in one step; False when the letter is gone.

        Raises:
            Unavailable: Redis did not answer; it may have been done.
        """
        with translated_errors():
            keys = [self._keys.dead_letter(letter_id), self._keys.dead_letters, self._keys.queue_key(queue)]
            return bool(self._move(keys=keys, args=[letter_id, envelope]))

    def mark(self, letter_id: str, *, again: bool) -> str:
        """Note that a letter is about to be published elsewhere.

        Args:
            letter_id: which.
            again: whether an earlier replay that was interrupted does not matter.

        Returns:
            `marked`, `interrupted` when it was marked before, or `gone`.
        """
        with translated_errors():
            return _text(self._mark(keys=[self._keys.dead_letter(letter_id)], args=["again" if again else ""]))

    def drop(self, letter_id: str) -> bool:
        """Forget a letter; False when it was gone already."""
        with translated_errors(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(self._keys.dead_letter(letter_id))
            pipeline.zrem(self._keys.dead_letters, letter_id)
            return bool(pipeline.execute()[0])

    def __len__(self) -> int:
        with translated_errors():
            return count_letters(self._redis, self._keys, self._lifetime_ms // 1000)

    def _all(self, selection: Selection) -> Iterator[DeadLetter]:
        if selection.ids is not None:
            letters = sorted(self._read(sorted(selection.ids)), key=lambda letter: -letter.at_ms)
            yield from (letter for letter in letters if selection.fits(letter))
            return
        newest = "+inf" if selection.until is None else str(milliseconds(selection.until))
        oldest = "-inf" if selection.since is None else milliseconds(selection.since)
        # By time and not by number: what is replayed or dropped meanwhile shifts no page.
        seen: frozenset[str] = frozenset()
        while True:
            with translated_errors():
                page: Any = self._redis.zrevrangebyscore(
                    self._keys.dead_letters, newest, oldest, start=0, num=_PAGE + len(seen), withscores=True
                )
            fresh = [_text(letter_id) for letter_id, _ in page if _text(letter_id) not in seen]
            if not fresh:
                return
            yield from (letter for letter in self._read(fresh) if selection.fits(letter))
            last = int(page[-1][1])
            here = frozenset(_text(letter_id) for letter_id, at in page if int(at) == last)
            seen = here | (seen if str(last) == newest else frozenset())
            newest = str(last)

    def _read(self, ids: Sequence[str]) -> Iterator[DeadLetter]:
        with translated_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for letter_id in ids:
                pipeline.hmget(self._keys.dead_letter(letter_id), "reason", "queue", "at_ms", "published_perhaps")
                pipeline.hstrlen(self._keys.dead_letter(letter_id), "sealed")
            answers = pipeline.execute()
        for letter_id, (reason, queue, at_ms, mark), size in zip(ids, answers[::2], answers[1::2], strict=True):
            if at_ms is not None:
                yield DeadLetter(letter_id, _text(reason), _text(queue), _moment_ms(at_ms), int(size), mark is not None)


def count_letters(client: Redis, keys: RedisKeys, lifetime_s: int) -> int:
    """Return how many dead letters there are; the index also has expired ones until the next is added."""
    seconds, _ = client.time()
    return int(client.zcount(keys.dead_letters, (int(seconds) - lifetime_s) * 1000, "+inf"))


def _moment_ms(value: Any) -> int:
    # What somebody else has written there is no moment, and must not keep the rest from being listed.
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_LATEST_MS)) else 0


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
