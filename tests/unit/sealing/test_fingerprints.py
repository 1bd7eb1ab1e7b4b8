"""Fingerprints: one key, and a label for each purpose."""

from __future__ import annotations

from gatepost_core.sealing.fingerprints import FINGERPRINT_BYTES, Fingerprints, Origin

PERSON = "guest@example.com"
FINGERPRINTS = Fingerprints(b"k" * 32)


def test_one_person_has_unrelated_fingerprints_of_eight_bytes() -> None:
    """No two places, and no two campaigns, have the same bytes of a person."""
    marks = [
        FINGERPRINTS.campaign("one", PERSON),
        FINGERPRINTS.campaign("two", PERSON),
        FINGERPRINTS.suppression(PERSON),
        *map(bytes.fromhex, (FINGERPRINTS.operation(PERSON), FINGERPRINTS.operation(PERSON, Origin.PLAIN))),
        bytes.fromhex(FINGERPRINTS.log(PERSON)),
    ]

    assert len(set(marks)) == len(marks)
    assert {len(mark) for mark in marks} == {FINGERPRINT_BYTES}


def test_another_key_makes_other_fingerprints() -> None:
    """Without the key, trying addresses does not find a person."""
    other = Fingerprints(b"o" * 32)

    assert other.suppression(PERSON) != FINGERPRINTS.suppression(PERSON)
    assert other.check != FINGERPRINTS.check


def test_the_boundaries_of_parts_count() -> None:
    """No text in one part makes the digest of other parts, whatever separates them."""
    assert FINGERPRINTS.digest("a", "b") != FINGERPRINTS.digest("ab")
    assert FINGERPRINTS.digest("a", "b\x1fc") != FINGERPRINTS.digest("a", "b", "c")
    assert FINGERPRINTS.digest("a", "1:b") != FINGERPRINTS.digest("a1:b")


def test_a_sealed_submission_is_in_the_index_of_producers() -> None:
    """Only who holds a sealing key can seal one, and that is a producer."""
    assert FINGERPRINTS.operation(PERSON, Origin.SEALED) == FINGERPRINTS.operation(PERSON)
