"""Dead letters: messages that workers refused, stored sealed with the reason."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.dead_letter_contents import contents_of
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import GatepostError, NewerForm
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import event_recorder, milliseconds
from gatepost_core.sealing import Purpose, kid_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing import Keyring

DEFAULT_LIFETIME_S: Final = 30 * 86_400
_ANSWER_LIFETIME_S: Final = 86_400
_PAGE: Final = 200
_ANSWERABLE: Final = re.compile(r"[!-~]{1,255}")
# Fourteen digits, within Python's calendar.
_LATEST_MS: Final = 99_999_999_999_999

# By the server's clock, as for the key ids.
_ADD: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local id, reason, queue, sealed, kid, lifetime = unpack(ARGV)
redis.call('HSET', KEYS[1], 'reason', reason, 'queue', queue, 'at_ms', now, 'sealed', sealed)
redis.call('PEXPIRE', KEYS[1], lifetime)
redis.call('ZADD', KEYS[2], now, id)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - lifetime)
if kid ~= '' then redis.call('HSET', KEYS[3], kid, now) end
record_event('dead_letter.arrived', { dead_letter_id = id, dead_letters = redis.call('ZCARD', KEYS[2]) }, now)
"""
# In the form of Celery's results, which a client waits for. An operation's own result is not overwritten.
_ANSWER: Final = """
local done = redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX')
if done then redis.call('PUBLISH', KEYS[1], ARGV[1]) end
"""
# Moves a letter to its queue in one step.
_MOVE: Final = """#!lua flags=allow-oom
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('LPUSH', KEYS[3], ARGV[2])
return 1
"""
# Another broker needs two steps. A letter that is marked and still here may have been published.
_MARK: Final = """#!lua flags=allow-oom
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if redis.call('HEXISTS', KEYS[1], 'published_perhaps') == 1 and ARGV[1] ~= 'again' then return 'interrupted' end
redis.call('HSET', KEYS[1], 'published_perhaps', 1)
return 'marked'
"""


class DeadLetterNotFound(GatepostError):
    """There is no such dead letter. It may have been replayed or dropped, or it has expired."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message, without its content.

    Attributes:
        size: bytes of the sealed message.
        published_perhaps: whether a replay to another broker was interrupted, so that the message may have been published.
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
    """A filter for dead letters. A letter must meet all criteria.

    Attributes:
        reason: a part of the reason, in any case.
        since: refused at this time or later.
        until: refused at this time or earlier.
        ids: only these ids.
        doubtful: also letters that an interrupted replay may have published already.
    """

    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: frozenset[str] | None = None
    doubtful: bool = True

    def fits(self, letter: DeadLetter) -> bool:
        """Whether a letter meets the criteria."""
        return (
            (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (self.since is None or letter.at_ms >= milliseconds(self.since))
            and (self.until is None or letter.at_ms <= milliseconds(self.until))
            and (self.ids is None or letter.id in self.ids)
            and (self.doubtful or not letter.published_perhaps)
        )


@boundary
class DeadLetterIndex:
    """All dead letters without their content. It needs no key."""

    def __init__(self, client: Redis, keys: RedisKeys, *, lifetime_s: int = DEFAULT_LIFETIME_S) -> None:
        self._redis = client
        self._keys = keys
        self._lifetime_ms = lifetime_s * 1000

    def list(self, limit: int = 100, selection: Selection | None = None) -> list[DeadLetter]:
        """Return the newest dead letters of a selection, newest first.

        Raises:
            Unavailable: Redis did not answer.
        """
        return [*islice(self.select(selection or Selection()), limit)]

    def select(self, selection: Selection) -> Iterator[DeadLetter]:
        """Yield the dead letters of a selection, newest first, page by page. Letters that arrive meanwhile are left out.

        Raises:
            Unavailable: Redis did not answer.
        """
        if selection.ids is not None:
            letters = sorted(self._read(sorted(selection.ids)), key=lambda letter: -letter.at_ms)
            yield from (letter for letter in letters if selection.fits(letter))
            return
        newest = "+inf" if selection.until is None else str(milliseconds(selection.until))
        oldest = "-inf" if selection.since is None else milliseconds(selection.since)
        # Paged by time, not by number: letters that are replayed or dropped meanwhile do not shift the pages.
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

    def find(self, letter_id: str) -> DeadLetter:
        """Return one dead letter.

        Raises:
            DeadLetterNotFound: there is no letter with this id.
            Unavailable: Redis did not answer.
        """
        for letter in self._read([letter_id]):
            return letter
        raise DeadLetterNotFound

    def __len__(self) -> int:
        with translated_errors():
            return count_letters(self._redis, self._keys, self._lifetime_ms // 1000)

    def _read(self, ids: Sequence[str]) -> Iterator[DeadLetter]:
        with translated_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for letter_id in ids:
                pipeline.hmget(self._keys.dead_letter(letter_id), "reason", "queue", "at_ms", "published_perhaps")
                pipeline.hstrlen(self._keys.dead_letter(letter_id), "sealed")
            answers = pipeline.execute()
        for letter_id, (reason, queue, at_ms, mark), size in zip(ids, answers[::2], answers[1::2], strict=True):
            if at_ms is not None:
                yield DeadLetter(letter_id, _text(reason), _text(queue), _moment_ms(at_ms), int(size), mark is not None)


@boundary
class DeadLetters(DeadLetterIndex):
    """All dead letters. Each expires after its lifetime, because it may hold personal data."""

    def __init__(
        self,
        client: Redis,
        keys: RedisKeys,
        keyring: Keyring,
        *,
        lifetime_s: int = DEFAULT_LIFETIME_S,
        answer_lifetime_s: int = _ANSWER_LIFETIME_S,
    ) -> None:
        super().__init__(client, keys, lifetime_s=lifetime_s)
        self._keyring = keyring
        self._answer_lifetime_ms = answer_lifetime_s * 1000
        self._add = client.register_script(keys.lua + event_recorder() + _ADD)
        self._answer = client.register_script(_ANSWER)
        self._move = client.register_script(_MOVE)
        self._mark = client.register_script(_MARK)

    def add(self, message: dict[str, Any], *, reason: str, queue: str) -> str:
        """Store a message, sealed, and return its id. A body that cannot be searched for a person is not stored.

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

    def answer(self, task_id: object, reason: str) -> None:
        """Tell the sender of a refused message the reason, as a failed result under the task's id. An unusable id gets no answer.

        Raises:
            Unavailable: Redis did not answer.
        """
        if not isinstance(task_id, str) or not _ANSWERABLE.fullmatch(task_id):
            return
        failure = {
            "exc_type": "InvalidCommand",
            "exc_message": [[["message", reason]]],
            "exc_module": "gatepost.errors",
        }
        document: dict[str, Any] = {
            "status": "FAILURE",
            "result": failure,
            "traceback": None,
            "children": [],
            "date_done": datetime.now(UTC).isoformat(),
            "task_id": task_id,
        }
        with translated_errors():
            self._answer(
                keys=[self._keys.celery_result(task_id)], args=[json.dumps(document), self._answer_lifetime_ms]
            )

    def open(self, letter: DeadLetter) -> dict[str, Any]:
        """Return the message of a dead letter in clear.

        Raises:
            DeadLetterNotFound: the letter no longer exists.
            NewerForm: a newer version wrote it.
            SealError: it was changed, or its key is not in the ring.
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            found: Any = self._redis.hmget(self._keys.dead_letter(letter.id), "sealed", "form")
        sealed, form = found
        if form is not None:
            raise NewerForm
        if sealed is None:
            raise DeadLetterNotFound
        opened: dict[str, Any] = json.loads(self._keyring.open(_text(sealed), Purpose.dead_letter(letter.id)))
        return opened

    def move(self, letter_id: str, queue: str, envelope: str) -> bool:
        """Put an envelope on a queue of this Redis and drop the letter, in one step. Return False if the letter no longer exists.

        Raises:
            Unavailable: Redis did not answer. The letter may have been moved.
        """
        with translated_errors():
            keys = [self._keys.dead_letter(letter_id), self._keys.dead_letters, self._keys.queue_key(queue)]
            return bool(self._move(keys=keys, args=[letter_id, envelope]))

    def mark(self, letter_id: str, *, again: bool) -> str:
        """Mark a letter before it is published to another broker.

        Args:
            letter_id: the letter.
            again: whether to publish it even if an earlier replay was interrupted.

        Returns:
            `marked`, `interrupted` if it was marked before, or `gone`.
        """
        with translated_errors():
            return _text(self._mark(keys=[self._keys.dead_letter(letter_id)], args=["again" if again else ""]))

    def drop(self, letter_id: str) -> bool:
        """Drop a letter. Return False if it did not exist."""
        with translated_errors(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(self._keys.dead_letter(letter_id))
            pipeline.zrem(self._keys.dead_letters, letter_id)
            return bool(pipeline.execute()[0])


def count_letters(client: Redis, keys: RedisKeys, lifetime_s: int) -> int:
    """Return the number of dead letters. The index keeps expired ones until the next letter is added."""
    seconds, _ = client.time()
    return int(client.zcount(keys.dead_letters, (int(seconds) - lifetime_s) * 1000, "+inf"))


def _moment_ms(value: Any) -> int:
    # A damaged time must not prevent the list of the others.
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_LATEST_MS)) else 0


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
