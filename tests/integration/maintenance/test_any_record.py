"""An overwritten audit log or dead letter is found and reported in one sentence, and the rest keeps working."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gatepost.errors import SealError
from gatepost_core.audit_log import AuditLog, AuditUnreadable, Entry
from gatepost_core.dead_letters import DeadLetterNotFound, DeadLetters
from gatepost_core.sealing import Key, Keyring
from gatepost_core.sealing.fingerprints import Fingerprints
from support.any_json import MARK, TEXTS, VALUES, given_or_refused
from support.examples import examples
from support.keys import KEYS

if TYPE_CHECKING:
    import redis

FINGERPRINTS = Fingerprints(bytes(32))
GOOD = asdict(Entry(0, "id", 1_800_000_000_000, "ines", "campaign.start", {}, "0" * 64, "x"))
ENTRIES = st.one_of(
    VALUES.map(json.dumps),
    st.builds(lambda name, value: json.dumps({**GOOD, name: value}), st.sampled_from(sorted(GOOD)), VALUES),
    st.text(max_size=20).map(lambda text: f"{MARK}{text}".encode("utf-8", "replace").decode()),
)
FIELDS = st.sampled_from(["reason", "queue", "at_ms", "sealed", "published_perhaps", "x"])
SAFE_TEXTS = TEXTS.map(lambda text: text.encode("utf-8", "replace"))


@settings(
    deadline=None,
    max_examples=examples(150),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ENTRIES)
@example("[" * 20_000)
@example(json.dumps({**GOOD, "at_ms": 10**30}))
@example(json.dumps({**GOOD, "number": True}))
@example(json.dumps({**GOOD, "digest": [MARK]}))
def test_any_entry_is_found_and_does_not_stop_the_log(redis_client: redis.Redis, foreign: str) -> None:
    """Verifying names it, listing says that it cannot be read, and the next act is recorded."""
    redis_client.delete(KEYS.audit)
    log = AuditLog(redis_client, KEYS, FINGERPRINTS, who="ines")
    log.record("campaign.start")
    redis_client.rpush(KEYS.audit, foreign)

    log.record("campaign.pause")
    assert log.verify().broken_at == 1
    entries = given_or_refused(lambda: list(log.entries()), AuditUnreadable)
    assert entries is None or [entry.action for entry in entries][2] == "campaign.pause"


@settings(
    deadline=None,
    max_examples=examples(150),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.dictionaries(FIELDS, SAFE_TEXTS, min_size=1))
@example({"at_ms": b"soon", "reason": b"\xff"})
@example({"at_ms": b"9" * 400})
@example({"at_ms": b"1", "sealed": b"eyJ.x.y.z.w"})
def test_any_dead_letter_is_listed_and_opens_for_nobody(redis_client: redis.Redis, fields: Any) -> None:
    """A letter that is none must not hide the others."""
    redis_client.flushdb()
    letters = DeadLetters(redis_client, KEYS, Keyring([Key("test", bytes(32))]))
    good = letters.add({"raw": "x"}, reason="the envelope is not JSON", queue="gatepost.send")
    identity = str(uuid.uuid4())
    redis_client.hset(KEYS.dead_letter(identity), mapping=fields)
    redis_client.zadd(KEYS.dead_letters, {identity: 1_800_000_000_000})

    listed = letters.list()
    assert good in {letter.id for letter in listed}
    for letter in listed:
        assert letter.as_json()
        opened = given_or_refused(lambda letter=letter: letters.open(letter), SealError, DeadLetterNotFound)  # type: ignore[misc] # bound now
        assert (opened is not None) == (letter.id == good)
