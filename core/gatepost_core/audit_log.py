"""The audit log: who started, paused, exported, replayed, erased or rotated, and when. Append-only and chained.

Each entry carries the keyed digest of the entry before it, so `verify` finds a changed, removed or inserted entry. It cannot see that
the newest entries were deleted. Keep the head that `gatepost audit verify` prints in another place, and compare it.

An act is recorded before it happens: if the record fails, so does the act. A second entry records how it ended.
"""

from __future__ import annotations

import getpass
import hmac
import json
import os
import socket
import time
import uuid
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from gatepost_core.errors import FieldError, GatepostError, InvalidCommand, Unavailable
from gatepost_core.json_limits import within_levels
from gatepost_core.redis.errors import translated_errors
from gatepost_core.safe_text import require_shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing.fingerprints import Fingerprints

LONGEST_NAME: Final = 200
"""Most characters in an operator's name."""
_BEGINNING: Final = "0" * 64
_PAGE: Final = 500
_MOST_LEVELS: Final = 8
_NEWER: Final = (
    "An entry of the audit log was written by a newer version of Gatepost. Verify the log with that version."
)
# The last millisecond in Python's calendar.
_LATEST_MS: Final = 253_402_300_799_999
_acting: ContextVar[str | None] = ContextVar("gatepost_acting", default=None)
_log = structlog.stdlib.get_logger("gatepost.audit")
# Appends only after the entry that the new one names. Of two writers at once, one builds its entry again.
# redis-py repeats a call whose reply was lost, so a repeated entry counts as appended.
_APPEND: Final = """#!lua flags=allow-oom
if redis.call('LINDEX', KEYS[1], -1) == ARGV[2] then return 1 end
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[2])
return 1
"""


class AuditUnreadable(GatepostError):
    """An entry of the audit log is damaged. `gatepost audit verify` names it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `about` holds ids and counts, never a person."""

    number: int
    id: str
    at_ms: int
    who: str
    action: str
    about: dict[str, Any]
    previous: str
    digest: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, without the chain."""
        at = datetime.fromtimestamp(self.at_ms / 1000, UTC).isoformat()
        return {"number": self.number, "at": at, "who": self.who, "action": self.action, "about": self.about}


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying the whole chain.

    Attributes:
        entries: the number of valid entries, up to the first invalid one.
        head: the digest of the last valid entry.
        broken_at: the number of the first invalid entry.
        cut_off: whether the expected head is missing from the chain.
    """

    entries: int
    head: str
    broken_at: int | None = None
    cut_off: bool = False

    @property
    def intact(self) -> bool:
        """Whether every entry is unchanged and in its place."""
        return self.broken_at is None and not self.cut_off


def operator() -> str:
    """Return the default name of the operator: user and machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id without a name.
        user = str(os.getuid())
    return visible(f"{user}@{socket.gethostname()}")[:LONGEST_NAME]


@contextmanager
def acting_as(who: str) -> Iterator[None]:
    """Record the acts of this thread or asyncio task under this name: for a service that acts on behalf of others.

    Raises:
        InvalidCommand: the name is empty, too long or has a character that is not shown.
    """
    if not 0 < len(who) <= LONGEST_NAME:
        raise InvalidCommand([FieldError("who", f"must have 1 to {LONGEST_NAME} characters")])
    try:
        require_shown(who)
    except ValueError as problem:
        raise InvalidCommand([FieldError("who", str(problem))]) from None
    token = _acting.set(who)
    try:
        yield
    finally:
        _acting.reset(token)


class AuditLog:
    """Appends to the log, and verifies it. Safe to share between threads."""

    def __init__(self, client: Redis, keys: RedisKeys, fingerprints: Fingerprints, *, who: str | None = None) -> None:
        self._redis = client
        self._key = keys.audit
        self._fingerprints = fingerprints
        self._who = who or operator()
        self._append = client.register_script(_APPEND)

    def record(self, action: str, **about: Any) -> Entry:
        """Append an entry.

        Args:
            action: the act, such as `campaign.start`.
            about: ids and counts as JSON values, never a person.

        Raises:
            Unavailable: Redis did not answer. The entry may have been written.
        """
        while True:
            with translated_errors():
                number = int(self._redis.llen(self._key))
                last = self._redis.lindex(self._key, -1) if number else None
            previous = self._digest_in(last) if last else _BEGINNING
            who = _acting.get() or self._who
            now_ms = int(time.time() * 1000)
            undigested = Entry(number, uuid.uuid4().hex, now_ms, who, action, about, previous, digest="")
            entry = replace(undigested, digest=self._digest(undigested))
            with translated_errors():
                if self._append(keys=[self._key], args=[number, json.dumps(asdict(entry))]):
                    return entry

    @contextmanager
    def act(self, action: str, **about: Any) -> Iterator[dict[str, Any]]:
        """Record an act before it happens, and afterwards `ACTION.failed`, or `ACTION.done` if the block added results.

        Args:
            action: the act, such as `campaign.start`.
            about: ids and counts.

        Yields:
            A dictionary for the results, such as counts.

        Raises:
            Unavailable: the act could not be recorded. The block does not run.
        """
        begun = self.record(action, **about)
        found: dict[str, Any] = {}
        try:
            yield found
        except BaseException as failure:
            self._end(f"{action}.failed", begun, {"error": type(failure).__name__, **found})
            raise
        if found:
            self._end(f"{action}.done", begun, found)

    def _end(self, action: str, begun: Entry, found: dict[str, Any]) -> None:
        try:
            self.record(action, entry=begun.number, **found)
        except Unavailable:
            # The act is over, and its first entry is in the log.
            _log.warning("audit.end_not_recorded", action=action, entry=begun.number)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, oldest first.

        Raises:
            AuditUnreadable: an entry is damaged.
            Unavailable: Redis did not answer.
        """
        start = 0
        while True:
            with translated_errors():
                page = self._redis.lrange(self._key, start, start + _PAGE - 1)
            yield from map(_entry, page)
            if len(page) < _PAGE:
                return
            start += _PAGE

    def page(self, limit: int, before: int | None = None) -> tuple[list[Entry], int | None]:
        """Return a page of entries, the newest first, and the number before which the next one begins; None at the end.

        Args:
            limit: most entries of the page.
            before: only entries with a smaller number; the newest ones by default.

        Raises:
            AuditUnreadable: an entry is damaged.
            Unavailable: Redis did not answer.
        """
        return read_page(self._redis, self._key, limit, before)

    def verify(self, expected_head: str | None = None) -> Verification:
        """Verify every entry and the chain.

        Args:
            expected_head: a head from an earlier verification. If the chain lacks it, the newest entries were deleted.

        Raises:
            Unavailable: Redis did not answer.
        """
        previous, number = _BEGINNING, 0
        seen = expected_head in {None, _BEGINNING}
        entries = self.entries()
        while True:
            try:
                entry = next(entries, None)
            except AuditUnreadable:
                return Verification(number, previous, broken_at=number)
            if entry is None:
                gone = expected_head is not None and not number
                return Verification(number, previous, cut_off=gone or not seen)
            expected = self._digest(entry)
            in_place = (entry.number, entry.previous) == (number, previous)
            if not in_place or not hmac.compare_digest(expected, str(entry.digest)):
                return Verification(number, previous, broken_at=number)
            seen = seen or entry.digest == expected_head
            previous, number = entry.digest, number + 1

    def _digest_in(self, raw: bytes | str) -> str:
        try:
            return _entry(raw).digest
        except AuditUnreadable:
            # The log accepts further entries, and `verify` reports this one.
            return self._fingerprints.digest("audit", str(raw)).hex()

    def _digest(self, entry: Entry) -> str:
        said = asdict(entry)
        del said["digest"]
        return self._fingerprints.digest("audit", json.dumps(said, sort_keys=True)).hex()


def read_page(client: Redis, key: str, limit: int, before: int | None = None) -> tuple[list[Entry], int | None]:
    """Return a page of entries, the newest first, and the number before which the next one begins; None at the end.

    Reading needs no key.

    Args:
        client: the connection.
        key: the name of the log.
        limit: most entries of the page.
        before: only entries with a smaller number; the newest ones by default.

    Raises:
        AuditUnreadable: an entry is damaged.
        Unavailable: Redis did not answer.
    """
    with translated_errors():
        end = int(client.llen(key)) if before is None else before
        start = max(0, end - limit)
        found = client.lrange(key, start, end - 1) if end > start else []
    return [_entry(one) for one in reversed(found)], start or None


def _entry(raw: bytes | str) -> Entry:
    try:
        said = json.loads(raw)
        if "form" in said:
            raise AuditUnreadable(_NEWER)
        entry = Entry(**said)
    except (ValueError, TypeError, RecursionError):
        raise AuditUnreadable from None
    texts = (entry.id, entry.who, entry.action, entry.previous, entry.digest)
    about: Any = entry.about
    # A bool is an int to Python, but not a number or a time here.
    numbers = type(entry.number) is int and type(entry.at_ms) is int and 0 <= entry.at_ms <= _LATEST_MS
    if not numbers or not all(isinstance(text, str) for text in texts):
        raise AuditUnreadable
    if not isinstance(about, dict) or not within_levels(about, _MOST_LEVELS):
        raise AuditUnreadable
    return entry
