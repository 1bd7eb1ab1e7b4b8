"""Tests for counting duplicates in little memory."""

from __future__ import annotations

import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost_operations.files.duplicates import DuplicateFinder


@settings(deadline=None)
@given(st.lists(st.sampled_from([f"guest-{number}@example.com" for number in range(30)])))
def test_recipient_is_new_once(recipients: list[str]) -> None:
    """It answers as a set of the recipients does."""
    seen, known = DuplicateFinder(), set[str]()

    for recipient in recipients:
        assert seen.add(recipient) is (recipient not in known)
        known.add(recipient)


def test_two_hundred_thousand_different_recipients_are_all_new() -> None:
    """Neighbours in one bucket are distinguished, also where the bytes of two contain a third."""
    seen = DuplicateFinder()

    assert all(seen.add(f"guest-{number}@example.com") for number in range(200_000))
    assert not any(seen.add(f"guest-{number}@example.com") for number in range(0, 200_000, 97))


def test_border_between_two_entries_is_not_an_entry() -> None:
    """The end of one stored hash and the beginning of the next match no recipient."""
    seen = DuplicateFinder()
    seen.add("guest@example.com")
    [number] = [number for number, bucket in enumerate(seen._buckets) if bucket]
    suffix = bytes(seen._buckets[number] or b"")
    seen._buckets[number] = bytearray(b"xxx" + suffix + b"xxx")

    assert seen.add("guest@example.com")
    assert not seen.add("guest@example.com")


def test_recipient_costs_few_bytes() -> None:
    """A set of texts would take more than a hundred bytes each."""
    seen = DuplicateFinder()
    for number in range(300_000):
        seen.add(f"guest-{number}@example.com")
    buckets = sum(sys.getsizeof(bucket) for bucket in seen._buckets if bucket is not None)

    # Of these, 6 are the hash, and most of the rest is what an almost empty bucket costs.
    assert buckets / 300_000 < 24
