"""One probe at a time for a mailbox: a second one waits, and a killed one does not hold it for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_core.sealing.fingerprints import Fingerprints
from gatepost_operations.probing.mailbox_lock import mailbox_lock
from support.keys import KEYS

if TYPE_CHECKING:
    import redis

NAME = KEYS.probe_lock("a" * 16)


def test_a_second_probe_waits_and_then_gives_up(redis_client: redis.Redis) -> None:
    """It is told that another one holds the mailbox, and leaves the other's lock alone."""
    told: list[bool] = []
    with mailbox_lock(redis_client, NAME, lifetime_s=60, wait_s=0, on_wait=lambda: told.append(True)) as first:
        with mailbox_lock(redis_client, NAME, lifetime_s=60, wait_s=0.1, on_wait=lambda: told.append(True)) as second:
            pass
        held = redis_client.exists(NAME)

    assert (first, second, held) == (True, False, 1)
    assert told == [True]
    assert redis_client.exists(NAME) == 0


def test_the_lock_of_a_killed_probe_ends(redis_client: redis.Redis) -> None:
    """It has a lifetime, and the probe that outlived it frees nothing of the next one's."""
    with mailbox_lock(redis_client, NAME, lifetime_s=60, wait_s=0, on_wait=lambda: None):
        lifetime_ms = redis_client.pttl(NAME)
        redis_client.set(NAME, "another probe's")

    assert 0 < lifetime_ms <= 60_000
    assert redis_client.get(NAME) == b"another probe's"


def test_a_mailbox_has_one_lock_for_all_its_names() -> None:
    """The key shows neither the server nor the user, and folders differ."""
    prints = Fingerprints(bytes(32))
    one = prints.mailbox("imap.example.com", "probe@example.com", "INBOX")

    assert prints.mailbox("IMAP.Example.com", "probe@example.com", "INBOX") == one
    assert prints.mailbox("imap.example.com", "probe@example.com", "Probe") != one
    assert "example" not in one
