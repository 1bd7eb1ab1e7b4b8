"""Counts stored values by their form, for `gatepost doctor`: before a format changes, it shows how many values are still in the old one."""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.batch import rows_form
from gatepost_core.errors import SealError
from gatepost_core.redis.keys import as_text
from gatepost_core.sealing import Purpose
from gatepost_core.stored_forms import FORMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing import Keyring

MOST_KEYS: Final = 20_000
"""Names of keys that one census reads, at most."""
MOST_OF_A_KIND: Final = 500
"""Values of each kind that it looks at, at most. Each takes a round trip."""
_PAGE: Final = 1000


@dataclass
class Census:
    """How many values of each kind were found in each form.

    Attributes:
        found: the numbers, by kind and form.
        read: how many entries of each kind were read, and how many there are.
    """

    found: dict[str, Counter[int]] = field(default_factory=lambda: {form.name: Counter() for form in FORMS})
    read: dict[str, tuple[int, int]] = field(default_factory=dict)

    def partly_read(self) -> Iterator[tuple[str, int, int]]:
        """Yield the kinds of which not every entry was read: the kind, the entries read, and all entries."""
        return ((kind, read, stored) for kind, (read, stored) in self.read.items() if read < stored)

    def others(self) -> Iterator[tuple[str, int, int]]:
        """Yield kind, form and number of the values that are not in the form that this version writes."""
        for form in FORMS:
            for number, count in sorted(self.found[form.name].items()):
                if number != form.number:
                    yield form.name, number, count


class FormCensus:
    """Looks at the values in one Redis."""

    def __init__(self, client: Redis, keys: RedisKeys, keyring: Keyring) -> None:
        self._redis: Any = client
        self._keys = keys
        self._keyring = keyring
        self._kinds: dict[str, tuple[str, Callable[[str, Census], None]]] = {
            keys.operation(""): ("operations", self._operation),
            keys.campaign(""): ("keys of campaigns", self._campaign),
            keys.dead_letter(""): ("dead letters", self._hash("dead letters", "form")),
            keys.idempotency(""): ("idempotency keys", self._hash("idempotency keys", "form")),
            keys.limiter("", "").removesuffix(":"): ("keys of the limiter", self._limiter),
            keys.webhook(""): ("webhook endpoints", self._endpoint),
        }

    def take(self) -> Census:
        """Look at a bounded number of values, and return the counts. Values that do not open are left out."""
        census = Census()
        self._single_keys(census)
        cursor, looked = 0, 0
        while True:
            cursor, page = self._redis.scan(cursor, match=f"{self._keys.namespace}:*", count=_PAGE)
            looked += _PAGE
            for key in map(as_text, page):
                self._look_at(key, census)
            if cursor == 0:
                return census
            if looked >= MOST_KEYS:
                census.read["names of keys"] = looked, max(looked + 1, self._redis.dbsize())
                return census

    def _look_at(self, key: str, census: Census) -> None:
        beginning = next((one for one in self._kinds if key.startswith(one)), None)
        if beginning is None:
            return
        name, look = self._kinds[beginning]
        read, stored = census.read.get(name, (0, 0))
        if read < MOST_OF_A_KIND:
            look(key, census)
            read += 1
        census.read[name] = read, stored + 1

    def _single_keys(self, census: Census) -> None:
        entries = self._redis.lrange(self._keys.audit, -MOST_OF_A_KIND, -1)
        census.read["audit entries"] = len(entries), self._redis.llen(self._keys.audit)
        for entry in entries:
            _count_json(census, "audit entries", entry)
        for stored in self._redis.hvals(self._keys.tenants):
            census.found["tenants"][2 if stored.startswith(b"{") else 1] += 1
        if self._redis.exists(self._keys.suppression):
            self._hash("lists of recipients", "index_form")(self._keys.suppression, census)
        events = self._redis.xrevrange(self._keys.webhook_events, count=MOST_OF_A_KIND)
        census.read["events for webhooks"] = len(events), self._redis.xlen(self._keys.webhook_events)
        for _, event in events:
            census.found["events for webhooks"][_number(event.get(b"v"))] += 1

    def _hash(self, kind: str, mark: str) -> Callable[[str, Census], None]:
        def look(key: str, census: Census) -> None:
            census.found[kind][_number(self._redis.hget(key, mark))] += 1

        return look

    def _operation(self, key: str, census: Census) -> None:
        form, command = self._redis.hmget(key, "form", "command")
        census.found["operations"][_number(form)] += 1
        opened = command and self._open(command, Purpose.command(self._keys.operation_id_of(key)))
        if opened:
            _count_json(census, "commands", opened)

    def _campaign(self, key: str, census: Census) -> None:
        if self._keys.campaign_pattern.fullmatch(key):
            form, index = self._redis.hmget(key, "form", "index_form")
            census.found["campaigns"][_number(form)] += 1
            census.found["lists of recipients"][_number(index)] += 1
        elif batch := self._keys.batch_pattern.fullmatch(key):
            rows = self._redis.hget(key, "rows")
            opened = rows and self._open(rows, Purpose.rows(batch["campaign"], int(batch["number"])))
            if opened:
                census.found["rows"][_form_of_rows(opened)] += 1

    def _endpoint(self, key: str, census: Census) -> None:
        sealed = self._redis.hget(key, "sealed")
        opened = sealed and self._open(sealed, Purpose.webhook(key.removeprefix(self._keys.webhook(""))))
        if opened:
            _count_json(census, "webhook endpoints", opened)

    def _limiter(self, key: str, census: Census) -> None:
        begins = self._redis.getrange(key, 0, 7)
        if len(begins) == struct.calcsize("<d"):
            census.found["limiter"][int(struct.unpack("<d", begins)[0])] += 1

    def _open(self, sealed: bytes, purpose: Purpose) -> bytes | None:
        try:
            return self._keyring.open(as_text(sealed), purpose)
        except SealError:
            return None


def _form_of_rows(packed: bytes) -> int:
    try:
        return rows_form(packed)
    except (ValueError, TypeError, zlib.error):
        return 0


def _count_json(census: Census, kind: str, text: bytes) -> None:
    try:
        found = json.loads(text)
    except ValueError:
        return
    if isinstance(found, dict):
        census.found[kind][_number(found.get("form"))] += 1


def _number(mark: Any) -> int:
    """Return the form that a mark names; 1 without a mark, and 0 for one that is no number."""
    if mark is None:
        return 1
    text = as_text(mark)
    return int(text) if text.isascii() and text.isdigit() else 0
