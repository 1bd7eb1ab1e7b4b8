"""A sealed value names its key without being opened."""

from __future__ import annotations

import pytest

from gatepost_core.sealing import Key, Keyring, Purpose, kid_of
from gatepost_operations.cli.doctor.checks import Status, judge_dead_letters, judge_keys

OLD, NEW = Key("k2025", bytes(32)), Key("k2026", bytes(range(32)))


def test_the_key_of_a_value_is_read_from_its_header() -> None:
    """Also from the header alone, which is all that a rotation fetches first."""
    sealed = Keyring([OLD, NEW]).seal(b"value", Purpose.submission())

    assert kid_of(sealed) == kid_of(sealed.partition(".")[0]) == "k2025"


@pytest.mark.parametrize(
    "text", ["", "sealed", "e30", "bnVsbA", "WyJraWQiXQ", "eyJraWQiOjd9", "é.", "eyJraWQiOiJhIGIifQ"]
)
def test_what_is_no_sealed_value_names_no_key(text: str) -> None:
    """Any stored text is read without an error."""
    assert kid_of(text) is None


@pytest.mark.parametrize(
    ("needed", "ring", "status", "says"),
    [
        ([], ["b"], Status.OK, "all configured"),
        (["b"], ["b", "a"], Status.OK, "all configured"),
        (["a", "b"], ["b", "a"], Status.OK, "need a too"),
        (["a", "b"], ["b"], Status.FAILED, "a is missing"),
    ],
)
def test_the_doctor_judges_the_ring_by_what_is_stored(
    needed: list[str], ring: list[str], status: Status, says: str
) -> None:
    """A missing key is a failure of configuration."""
    check = judge_keys(needed, ring)

    assert (check.status, check.configuration) == (status, status is Status.FAILED)
    assert says in check.found


def test_dead_letters_are_a_warning() -> None:
    """The doctor warns about them."""
    assert judge_dead_letters(0).status is Status.OK
    assert judge_dead_letters(3).status is Status.WARNING
