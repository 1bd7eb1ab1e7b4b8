"""The audit log is append-only in effect: whatever is changed, taken out or put in is found."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gatepost.errors import InvalidCommand, Unavailable
from gatepost_core.audit_log import AuditLog, acting_as
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost_core.settings import Settings


@pytest.fixture
def log(redis_client: redis.Redis, settings: Settings) -> AuditLog:
    log = AuditLog(redis_client, KEYS, settings.fingerprints(), who="operator@example")
    for number in range(5):
        log.record("campaign.started", campaign=f"c-{number}", recipients=number)
    return log


def change(client: redis.Redis, number: int, edit: Callable[[dict[str, Any]], None]) -> None:
    entry = json.loads(client.lindex(KEYS.audit, number))
    edit(entry)
    client.lset(KEYS.audit, number, json.dumps(entry))


def test_an_untouched_log_is_intact_and_reads_back(log: AuditLog) -> None:
    """The entries come in the order they were written."""
    found = log.verify()

    assert (found.intact, found.entries) == (True, 5)
    assert [entry.about["campaign"] for entry in log.entries()] == [f"c-{number}" for number in range(5)]
    assert {entry.who for entry in log.entries()} == {"operator@example"}


@pytest.mark.parametrize("field", ["who", "action", "at_ms", "about", "digest", "previous", "number"])
def test_a_changed_entry_is_found(log: AuditLog, redis_client: redis.Redis, field: str) -> None:
    """Whichever field it is."""
    change(redis_client, 2, lambda entry: entry.update({field: 7 if field in {"at_ms", "number"} else "else"}))

    assert log.verify().broken_at == 2


def test_an_entry_that_was_taken_out_is_found(log: AuditLog, redis_client: redis.Redis) -> None:
    """The next one does not follow from the one before."""
    redis_client.lrem(KEYS.audit, 1, redis_client.lindex(KEYS.audit, 1))

    assert log.verify().broken_at == 1


def test_an_entry_that_was_put_in_is_found(log: AuditLog, redis_client: redis.Redis, settings: Settings) -> None:
    """Without the key no digest fits; with another key neither."""
    foreign = AuditLog(
        redis_client,
        KEYS,
        settings.model_copy(update={"fingerprint_key": type(settings.redis_url)("x")}).fingerprints(),
    )
    foreign.record("recipient.erased")

    assert log.verify().broken_at == 5


def test_what_is_no_entry_at_all_is_found(log: AuditLog, redis_client: redis.Redis) -> None:
    """Verification reports it; it does not fail on it."""
    redis_client.lset(KEYS.audit, 3, "not json")

    assert log.verify().broken_at == 3


def test_many_that_append_at_once_make_one_chain(log: AuditLog) -> None:
    """No entry is lost, and none is written into another's place."""
    threads = [threading.Thread(target=lambda: [log.record("x") for _ in range(10)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = log.verify()
    assert (found.intact, found.entries) == (True, 85)


def test_a_cut_off_end_is_found_by_a_head_that_was_noted(log: AuditLog, redis_client: redis.Redis) -> None:
    """The rest of the chain is whole, so only the noted head tells."""
    noted = log.record("campaign.deleted").digest
    log.record("campaign.started")
    before = log.verify(noted)
    redis_client.rpop(KEYS.audit, 2)

    after = log.verify(noted)
    assert (before.intact, before.cut_off) == (True, False)
    assert (after.intact, after.cut_off, after.broken_at) == (False, True, None)
    assert log.verify().intact


def test_an_act_is_recorded_before_it_happens_and_its_end_after_it(log: AuditLog) -> None:
    """Who reads the log of a crash finds that the act was begun."""
    with log.act("rows.counted", campaign="c") as found:
        begun = [entry.action for entry in log.entries()][-1]
        found["rows"] = 7

    ended = list(log.entries())[-1]
    assert begun == "rows.counted"
    assert (ended.action, ended.about) == ("rows.counted.done", {"entry": 5, "rows": 7})


def test_an_act_that_fails_is_recorded_as_failed(log: AuditLog) -> None:
    """The entry names the error's type, never its text."""
    with pytest.raises(KeyError), log.act("rows.counted"):
        raise KeyError("ana@example.com")

    assert [entry.about for entry in log.entries()][-1] == {"entry": 5, "error": "KeyError"}


def test_what_cannot_be_recorded_is_not_done(log: AuditLog, redis_client: redis.Redis) -> None:
    """An act stops if the key of the log has another type."""
    redis_client.delete(KEYS.audit)
    redis_client.set(KEYS.audit, "no list")
    done = []

    with pytest.raises(Unavailable), log.act("rows.counted"):
        done.append("yes")
    assert done == []


def test_a_service_says_for_whom_it_acts(log: AuditLog) -> None:
    """The name holds within the block, and for this thread."""
    with acting_as("api:key-7"):
        within = log.record("campaign.started")
        thread = threading.Thread(target=lambda: log.record("elsewhere"))
        thread.start()
        thread.join()

    assert within.who == "api:key-7"
    assert [entry.who for entry in log.entries()][-1] == "operator@example"
    assert log.record("campaign.started").who == "operator@example"


@pytest.mark.parametrize("who", ["", "x" * 201, "support: \x1b]0;spoofed\x07", "ines\n7 deploy"])
def test_nobody_acts_under_a_name_that_cannot_be_shown(log: AuditLog, who: str) -> None:
    """The field is named, and nothing is done under another name."""
    with pytest.raises(InvalidCommand, match=r"^who: "), acting_as(who):
        log.record("campaign.started")

    assert log.verify().entries == 5


def test_a_user_whose_name_cannot_be_shown_acts_under_its_escapes(
    monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis, settings: Settings
) -> None:
    """The default name was not chosen for the log, so no act is refused; it is shortened like any other name."""
    monkeypatch.setenv("LOGNAME", "ines\x1b]0;spoofed\x07" + "x" * 300)
    entry = AuditLog(redis_client, KEYS, settings.fingerprints()).record("campaign.started")

    assert entry.who.startswith(r"ines\x1b]0;spoofed\x07xxx")
    assert len(entry.who) == 200


def test_the_same_entry_sent_twice_is_one(log: AuditLog, redis_client: redis.Redis) -> None:
    """redis-py repeats a call whose reply was lost."""
    last = redis_client.lindex(KEYS.audit, -1)

    assert log._append(keys=[KEYS.audit], args=[4, last]) == 1
    assert log.verify().entries == 5
