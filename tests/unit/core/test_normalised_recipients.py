"""Tests for the one definition of a valid address and a valid number."""

from __future__ import annotations

import email_validator
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatepost_core.address_text import address_in
from gatepost_core.errors import InvalidValue
from gatepost_core.identifiers import normalise_email, normalise_phone, normalise_recipient
from support.examples import examples

ASCII = [chr(code) for code in range(128)]
DOMAINS = [
    "example.com",
    "Example.COM",
    "mail.example.org",
    "xn--bcher-kva.example",
    "bücher.example",
    "BÜCHER.example",
    "例え.jp",
    "example.c0m",
    "localhost",
    "example.test",
    "-example.com",
    "ex_ample.com",
    "example.com.",
    "a..example.com",
    "[192.0.2.1]",
    "exam ple.com",
    "b@example.com",
    "\u0338example.com",
    "x" * 63 + ".example",
    "x" * 64 + ".example",
    ".".join(["x" * 60] * 3) + ".example",
    "example.com>",
    "",
]
LOCAL = st.text(st.one_of(st.sampled_from("abZ09.+-_'\"@<> \\\u0338"), st.characters()), max_size=80)
ADDRESSES = st.one_of(
    st.emails(),
    st.builds("{}@{}".format, LOCAL, st.sampled_from(DOMAINS)),
    st.builds("{}@{}".format, st.text("aB.", min_size=50, max_size=70), st.text("xY.-é", max_size=260)),
    st.text(max_size=300),
)


def library_email(address: str) -> str | None:
    """What email-validator makes of the address in the text, in lower case, as long as that is an address itself."""
    try:
        lowered = email_validator.validate_email(address_in(address), check_deliverability=False).normalized.lower()
    except (email_validator.EmailNotValidError, InvalidValue):
        return None
    return lowered if lowered == address else library_email(lowered)


def our_email(address: str) -> str | None:
    """What Gatepost makes of the address, None where it refuses."""
    try:
        return normalise_email(address)
    except ValueError:
        return None


@settings(deadline=None, max_examples=examples(1_000))
@given(ADDRESSES)
@example("İ" * 84 + "@example.com")
@example("a" * 64 + "@" + "x" * 63 + "." + "y" * 61 + "." + "z" * 61 + ".com")
def test_short_way_and_library_agree(address: str) -> None:
    """The fast path for plain addresses gives exactly what email-validator gives."""
    assert our_email(address) == library_email(address)


@pytest.mark.parametrize("pattern", ["{}@example.com", "a{}b@example.com", "{}a@example.com", "a{}@example.com"])
def test_short_way_and_library_agree_on_every_character(pattern: str) -> None:
    """Each ASCII character in each position of the local part is judged as email-validator judges it."""
    for character in ASCII:
        address = pattern.format(character)

        assert our_email(address) == library_email(address), ascii(address)


HANZI = "".join(chr(0x4E00 + 397 * number) for number in range(14))
LONG_DOMAINS = ["x" * 59 + ".com", f"{HANZI}.{HANZI}.{HANZI}.{HANZI}.jp", "é" * 40 + ".example"]


@pytest.mark.parametrize("domain", [*LONG_DOMAINS, "example.com"])
@pytest.mark.parametrize("character", ["a", "É", "e\u0301", "漢", "\N{BUG}", "İ"])
def test_short_way_and_library_agree_on_every_length(character: str, domain: str) -> None:
    """The octets of the whole address count, before and after each of its forms is made."""
    for count in range(1, 66):
        address = f"{character * count}@{domain}"

        assert our_email(address) == library_email(address), count


@settings(deadline=None, max_examples=examples(300))
@given(ADDRESSES)
@example("\u03aa\u0301@example.com")  # in lower case, the two make one letter
def test_normal_address_stays_as_it_is(address: str) -> None:
    """Normalising twice is normalising once, so that every layer compares the same text."""
    normal = our_email(address)

    if normal is not None:
        assert our_email(normal) == normal


@pytest.mark.parametrize("address", ["ada" * 100 + "@example.com", "\N{BUG}" * 1_000_000 + "@example.com"])
def test_endless_address_is_refused_without_reading_it(address: str) -> None:
    """The time a hostile cell takes does not grow with its length."""
    with pytest.raises(ValueError, match="is not an e-mail address"):
        normalise_email(address)


def test_refusal_does_not_repeat_the_address() -> None:
    """The message of a refusal can be shown and logged."""
    with pytest.raises(ValueError, match=r"^is not an e-mail address") as refusal:
        normalise_email("guest 017@example.com")

    assert "017" not in str(refusal.value)
    assert refusal.value.__suppress_context__


@pytest.mark.parametrize("number", ["+44 7700 900123", "+44 (0)7700 900124", "+4407700900123"])
def test_normal_number_stays_as_it_is(number: str) -> None:
    """Otherwise a login would name another recipient than the message before it, and a file could hold one person twice."""
    assert normalise_phone(normalise_phone(number)) == normalise_phone(number)


@pytest.mark.parametrize(
    ("number", "region"), [("555 0123", "US"), ("+1 555 0123", None), ("7946 0123", "GB"), ("020 7946 0123", None)]
)
def test_number_without_its_area_or_country_is_refused(number: str, region: str | None) -> None:
    """A number that only a neighbour could dial is not one to send to."""
    with pytest.raises(ValueError, match=r"write it in E\.164"):
        normalise_phone(number, region)


@pytest.mark.parametrize("text", ["ana", "ana7", " ana.example.com", "ext. 5", "", "---", "a" * 1_000_000])
def test_text_that_is_no_recipient_is_refused_with_both_forms(text: str) -> None:
    """The writer may have meant an address."""
    with pytest.raises(
        ValueError, match="is neither an e-mail address nor a phone number; write local-part@domain, or"
    ):
        normalise_recipient(text)


@pytest.mark.parametrize(("text", "problem"), [("=A1", "formula"), ("0171 3920006 mobil", "letters or words")])
def test_number_with_a_known_mistake_keeps_its_problem(text: str, problem: str) -> None:
    """It says more."""
    with pytest.raises(ValueError, match=problem):
        normalise_recipient(text)


def test_number_as_a_uri_is_a_number() -> None:
    """`tel:` begins with a letter."""
    assert normalise_recipient("tel:+447700900123") == "+447700900123"
