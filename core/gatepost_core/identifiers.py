"""Types for addresses, phone numbers and one-time codes. Their `repr` and `str` hide the value."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, PlainSerializer, SecretStr, SerializationInfo

from gatepost_core.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable

REVEAL: Final = {"reveal": True}
"""The serialization context that writes values in clear. Only for sealing."""


class Personal(SecretStr):
    """A personal value. It prints as asterisks; `get_secret_value()` returns it."""


class EmailAddress(Personal):
    """An e-mail address, normalised and in lower case."""


class PhoneNumber(Personal):
    """A phone number in E.164, `+` and 1 to 15 digits."""


class OneTimeCode(Personal):
    """A one-time code."""


def normalise_email(address: str) -> str:
    """Return the form of an address that Gatepost sends and compares.

    It is in lower case. Auth0 does not document how it compares case between the start and the token call, so both calls get the same form.
    Normalising twice changes nothing.

    Args:
        address: an address as typed by a person or read from a file.

    Returns:
        The normalised address.

    Raises:
        ValueError: it is not an e-mail address; the message never repeats it.
    """
    address = address.strip()
    local, at, domain = address.partition("@")
    # email-validator checks both parts separately, except for the total length. Most domains are in the cache, and it accepts most
    # local parts unchanged.
    known = _normalised_domain(domain) if at and len(local) <= _SHORT and len(domain) <= _SHORT else None
    if known is None:
        return _normalised_by_library(address)
    if _PLAIN_LOCAL(local):
        return f"{local.lower()}@{known}"
    normal = _normalised_by_library(local + _STAND_IN).removesuffix(_STAND_IN)
    composed = unicodedata.normalize("NFC", local)
    if max(len(form.encode()) for form in (local, composed, composed.lower(), normal)) > _SHORT:
        return _normalised_by_library(address)
    return f"{normal}@{known}"


def normalise_phone(number: str, region: str | None = None) -> str:
    """Return the number in E.164. Normalising twice changes nothing.

    Args:
        number: a number as typed by a person or read from a file. Spaces and punctuation are allowed; an extension is dropped.
        region: ISO 3166-1 code for numbers without a country code.

    Returns:
        `+` and up to 15 digits.

    Raises:
        ValueError: it cannot be a phone number; the message never repeats it.
    """
    for _ in range(_MOST_READINGS):
        if _E164(number) and _is_in_plan(number):
            return number
        normal = _read_phone(number, region)
        if normal == number:
            return number
        # The library removes one national prefix at a time, and a number may have several.
        number = normal
    raise InvalidValue(_NOT_A_NUMBER)


def normalise_recipient(recipient: str) -> str:
    """Return an address or a number in its normal form. A text with `@` is an address.

    Raises:
        ValueError: it is neither; the message never repeats it.
    """
    return normalise_email(recipient) if "@" in recipient else normalise_phone(recipient)


def _read_phone(number: str, region: str | None) -> str:
    import phonenumbers  # noqa: PLC0415 - with the first number

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        raise InvalidValue(_NOT_A_NUMBER) from None
    # "Possible" includes numbers without an area code, which work only locally.
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise InvalidValue("has the wrong number of digits for its country; write it in E.164")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def reveal_in_context(value: SecretStr, info: SerializationInfo[Any]) -> str:
    """Serialize in clear only under the `REVEAL` context, as asterisks otherwise."""
    if info.context == REVEAL:
        return value.get_secret_value()
    return str(value)


def _checked_email(value: EmailAddress) -> EmailAddress:
    return EmailAddress(normalise_email(value.get_secret_value()))


def _checked_phone(value: PhoneNumber) -> PhoneNumber:
    return PhoneNumber(normalise_phone(value.get_secret_value()))


def _checked_code(value: OneTimeCode) -> OneTimeCode:
    code = value.get_secret_value().strip()
    if not code or len(code) > _LONGEST_CODE or not code.isalnum() or not code.isascii():
        raise InvalidValue(f"is not a one-time code; give its 1 to {_LONGEST_CODE} letters or digits")
    return OneTimeCode(code)


@lru_cache(maxsize=16_384)
def _normalised_domain(domain: str) -> str | None:
    """Return the domain's normal form; None if the library must check the whole address."""
    import email_validator  # noqa: PLC0415 - with the first address

    try:
        checked = email_validator.validate_email(f"a@{domain}", check_deliverability=False)
    except email_validator.EmailNotValidError:
        return None
    forms = (domain.encode(), checked.domain.encode(), checked.ascii_domain.encode())
    room = _LONGEST_ADDRESS - len("@") - _SHORT
    return checked.domain.lower() if max(map(len, forms)) <= room else None


def _normalised_by_library(address: str) -> str:
    import email_validator  # noqa: PLC0415 - with the first address

    # The library's time grows with the length of the text.
    if len(address) > _LONGEST_ADDRESS:
        raise InvalidValue(_NOT_AN_ADDRESS)
    try:
        checked = email_validator.validate_email(address, check_deliverability=False)
    except email_validator.EmailNotValidError:
        # The library's message can quote the address.
        raise InvalidValue(_NOT_AN_ADDRESS) from None
    lowered = checked.normalized.lower()
    # Outside ASCII, the lower-case form can be longer or composed differently, so it is checked too.
    return lowered if lowered == checked.normalized or lowered.isascii() else _normalised_by_library(lowered)


def _is_in_plan(number: str) -> bool:
    # As the library does for most numbers in E.164: the length fits, and there is no national prefix to remove.
    plan = _plan_of(number[1:4])
    if plan is None:
        return False
    start, lengths, has_prefix = plan
    return len(number) - start in lengths and not has_prefix(number[start:])


@lru_cache(maxsize=1000)
def _plan_of(digits: str) -> tuple[int, frozenset[int], Callable[[str], object]] | None:
    """Return the position after the country code, the possible lengths, and the match of a national prefix, by the first digits."""
    import phonenumbers  # noqa: PLC0415 - with the first number

    for size in range(1, len(digits) + 1):
        code = int(digits[:size])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            region = phonenumbers.region_code_for_country_code(code)
            plan = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            if plan is None or plan.general_desc is None:
                return None
            prefix = re.compile(plan.national_prefix_for_parsing or _NOTHING)
            return 1 + size, frozenset(plan.general_desc.possible_length), prefix.match
    return None


_NOTHING: Final = r"(?!)"
_NOT_A_NUMBER: Final = "is not a phone number; write it in E.164, such as + country code and number"
# One per digit that can be removed.
_MOST_READINGS: Final = 16
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch

_NOT_AN_ADDRESS: Final = "is not an e-mail address; write it as local-part@domain"
# Octets of a whole address: RFC 5321 4.5.3.1.3 with RFC 3696 erratum 1690, as email-validator counts.
_LONGEST_ADDRESS: Final = 254
_SHORT: Final = 64
_STAND_IN: Final = "@example.com"
# RFC 5322 3.2.3, dot-atom.
_ATOM: Final = r"[A-Za-z0-9_!#$%&'*+\-/=?^`{|}~]+"
_PLAIN_LOCAL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*").fullmatch

# A connection's `totp.length` is six by default, and Auth0 documents no maximum.
_LONGEST_CODE: Final = 64
_IN_CLEAR_ONLY_WHEN_SEALED = PlainSerializer(reveal_in_context, when_used="json")

EmailField = Annotated[EmailAddress, AfterValidator(_checked_email), _IN_CLEAR_ONLY_WHEN_SEALED]
PhoneField = Annotated[PhoneNumber, AfterValidator(_checked_phone), _IN_CLEAR_ONLY_WHEN_SEALED]
CodeField = Annotated[OneTimeCode, AfterValidator(_checked_code), _IN_CLEAR_ONLY_WHEN_SEALED]
