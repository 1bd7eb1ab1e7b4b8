"""The audit log is append-only in effect: whatever is changed, taken out or put in is found."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gatepost.audit import KEY, AuditLog

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost.settings import Settings


@pytest.fixture
def log(redis_client: redis.Redis, settings: Settings) -> AuditLog:
    log = AuditLog(redis_client, settings.fingerprints(), who="operator@example")
    for number in range(5):
        log.record("campaign.started", campaign=f"c-{number}", recipients=number)
    return log


def change(client: redis.Redis, number: int, edit: Callable[[dict[str, Any]], None]) -> None:
    entry = json.loads(client.lindex(KEY, number))
    edit(entry)
    client.lset(KEY, number, json.dumps(entry))


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
    redis_client.lrem(KEY, 1, redis_client.lindex(KEY, 1))

    assert log.verify().broken_at == 1


def test_an_entry_that_was_put_in_is_found(log: AuditLog, redis_client: redis.Redis, settings: Settings) -> None:
    """Without the key no digest fits; with another key neither."""
    foreign = AuditLog(
        redis_client, settings.model_copy(update={"fingerprint_key": type(settings.redis_url)("x")}).fingerprints()
    )
    foreign.record("recipient.erased")

    assert log.verify().broken_at == 5


def test_what_is_no_entry_at_all_is_found(log: AuditLog, redis_client: redis.Redis) -> None:
    """Verification reports it; it does not fail on it."""
    redis_client.lset(KEY, 3, "not json")

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
