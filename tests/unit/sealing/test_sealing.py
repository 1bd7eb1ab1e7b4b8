"""Sealed values open with any key of the ring, for their own purpose only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.errors import ConfigurationError, SealError, UnknownKey
from gatepost_core.sealing import LONGEST_VALUE, Key, Keyring, Purpose

OLD, NEW = Key("old", b"o" * 32), Key("new", b"n" * 32)
PURPOSE = Purpose.command("op-1")


def test_the_first_key_seals_and_every_key_opens() -> None:
    """A rotation puts the new key first and keeps the old one to open."""
    sealed_before = Keyring([OLD]).seal(b"before", PURPOSE)
    rotated = Keyring([NEW, OLD])

    assert rotated.open(sealed_before, PURPOSE) == b"before"
    assert Keyring([NEW]).open(rotated.seal(b"after", PURPOSE), PURPOSE) == b"after"


def test_a_value_moved_to_another_owner_does_not_open() -> None:
    """Swapping two values in Redis is detected."""
    sealed = Keyring([OLD]).seal(b"x", Purpose.command("op-1"))

    with pytest.raises(SealError, match="another place"):
        Keyring([OLD]).open(sealed, Purpose.command("op-2"))
    with pytest.raises(SealError, match="another place"):
        Keyring([OLD]).open(sealed, Purpose.result("op-1"))


def test_a_missing_key_is_named_by_its_id() -> None:
    """The operator learns which key to put back."""
    sealed = Keyring([OLD]).seal(b"x", PURPOSE)

    with pytest.raises(UnknownKey, match="old"):
        Keyring([NEW]).open(sealed, PURPOSE)


@given(st.text(max_size=200))
def test_nothing_but_a_sealed_value_opens(text: str) -> None:
    """Whatever the text is, the answer is a SealError."""
    with pytest.raises(SealError):
        Keyring([OLD]).open(text, PURPOSE)


@given(st.integers(min_value=0), st.sampled_from("ABCDabcd0123-_."))
def test_a_changed_value_does_not_open(position: int, letter: str) -> None:
    """One changed character is enough; what still opens is the value itself (base64url has unused bits)."""
    sealed = Keyring([OLD]).seal(b"the value", PURPOSE)
    place = position % len(sealed)
    changed = sealed[:place] + letter + sealed[place + 1 :]
    try:
        opened = Keyring([OLD]).open(changed, PURPOSE)
    except SealError:
        return

    assert opened == b"the value"


@pytest.mark.parametrize("text", ["", "kid", "kid:short", "kid:!!!", "bad kid:" + "A" * 43, ":" + "A" * 43])
def test_a_malformed_key_is_refused_without_showing_it(text: str) -> None:
    """The message says how to make one."""
    with pytest.raises(ConfigurationError) as caught:
        Key.parse(text)

    assert "!!!" not in str(caught.value)
    assert "AAA" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    """A short one would be guessed sooner."""
    with pytest.raises(ConfigurationError, match="must have 32 bytes"):
        Key("k1", bytes(length))


def test_a_key_reads_back_what_it_reveals_and_prints_nothing() -> None:
    """The settings read the output of `gatepost keys new`."""
    key = Key.new("k1")

    assert Key.parse(key.reveal()) == key
    assert key.reveal().split(":")[1] not in f"{key!r} {key}"


def test_an_empty_ring_and_a_doubled_id_are_refused() -> None:
    """Both would fail later, and worse."""
    with pytest.raises(ConfigurationError, match="no sealing key"):
        Keyring([])
    with pytest.raises(ConfigurationError, match="same id"):
        Keyring([OLD, Key("old", b"x" * 32)])


def test_a_long_value_opens_again_and_a_longer_one_is_not_sealed() -> None:
    """A batch of rows with many parameters has some hundred kilobytes, and every sealed value must open."""
    longest = b"x" * LONGEST_VALUE

    assert Keyring([OLD]).open(Keyring([OLD]).seal(longest, PURPOSE), PURPOSE) == longest
    with pytest.raises(ValueError, match="too long"):
        Keyring([OLD]).seal(longest + b"x", PURPOSE)
