"""The audit log: who started, paused, exported, replayed, erased or rotated, and when. Append-only and chained.

Each entry carries the keyed digest of the one before it, so an entry that was changed, taken out or put in is found. Only the end can be
cut off unseen, by somebody who may delete in Redis: keep the head that `gatepost audit verify` prints elsewhere.
"""

from __future__ import annotations

import getpass
import hmac
import json
import os
import socket
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from gatepost.ledger import answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from gatepost.fingerprints import Fingerprints

KEY: Final = "gatepost:audit"
_BEGINNING: Final = "0" * 64
_PAGE: Final = 500
# Appends only after the entry it was made for: of two that append at once one makes its entry anew.
_APPEND: Final = """#!lua flags=allow-oom
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `about` names ids and counts, never a person."""

    number: int
    at_ms: int
    who: str
    action: str
    about: dict[str, Any]
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a look at the whole chain found."""

    entries: int
    head: str
    broken_at: int | None = None

    @property
    def intact(self) -> bool:
        """Whether every entry is where and what it was when it was written."""
        return self.broken_at is None


def operator() -> str:
    """Return who acts: `GATEPOST_OPERATOR`, or the user and the machine."""
    named = os.environ.get("GATEPOST_OPERATOR")
    if named:
        return named
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


class AuditLog:
    """Appends to the log, and verifies it. Safe to share between threads."""

    def __init__(self, client: Redis, fingerprints: Fingerprints, *, who: str | None = None) -> None:
        self._redis = client
        self._fingerprints = fingerprints
        self._who = who or operator()
        self._append = client.register_script(_APPEND)

    def record(self, action: str, **about: Any) -> Entry:
        """Append an entry.

        Args:
            action: what was done, such as `campaign.started`.
            about: ids and counts; JSON values, never a person.

        Raises:
            Unavailable: Redis did not answer; the entry may have been written.
        """
        while True:
            with answering():
                number = int(self._redis.llen(KEY))
                last = self._redis.lindex(KEY, -1) if number else None
            previous = json.loads(last)["digest"] if last else _BEGINNING
            undigested = Entry(number, int(time.time() * 1000), self._who, action, about, previous, digest="")
            entry = replace(undigested, digest=self._digest(undigested))
            with answering():
                if self._append(keys=[KEY], args=[number, json.dumps(asdict(entry))]):
                    return entry

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, the oldest first.

        Raises:
            Unavailable: Redis did not answer.
        """
        start = 0
        while True:
            with answering():
                page = self._redis.lrange(KEY, start, start + _PAGE - 1)
            yield from (Entry(**json.loads(one)) for one in page)
            if len(page) < _PAGE:
                return
            start += _PAGE

    def verify(self) -> Verification:
        """Look at every entry and at the chain between them.

        Raises:
            Unavailable: Redis did not answer.
        """
        previous, number = _BEGINNING, 0
        entries = self.entries()
        while True:
            try:
                entry = next(entries, None)
            except (ValueError, TypeError):
                return Verification(number, previous, broken_at=number)
            if entry is None:
                return Verification(number, previous)
            expected = self._digest(entry)
            in_place = (entry.number, entry.previous) == (number, previous)
            if not in_place or not hmac.compare_digest(expected, str(entry.digest)):
                return Verification(number, previous, broken_at=number)
            previous, number = entry.digest, number + 1

    def _digest(self, entry: Entry) -> str:
        said = asdict(entry)
        del said["digest"]
        return self._fingerprints.digest("audit", json.dumps(said, sort_keys=True)).hex()
