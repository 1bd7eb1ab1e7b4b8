"""Types for addresses, phone numbers and one-time codes. Their `repr` and `str` hide the value."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, PlainSerializer, SecretStr, SerializationInfo, ValidationInfo

from gatepost_core.errors import InvalidValue

if TYPE_CHECKING:
    from gatepost_core.number_rules import NumberRules

REVEAL: Final = {"reveal": True}
"""The serialization context that writes values in clear. Only for sealing."""
STORED: Final = {"stored": True}
"""The validation context of a value that was checked before it was stored. Another version's number plans do not count."""
NO_RECIPIENT: Final = (
    "is neither an e-mail address nor a phone number; write local-part@domain, or + and the country code first"
)
"""The problem of a text for which `is_no_recipient` is true."""
_PHONE_URI: Final = "tel:"
# The error of a formula says more.
_FORMULA: Final = "="
NUMBER_RULES: Final = "number_rules"
"""The key of the validation context for the rules of phone numbers."""


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
    if at and len(local) <= _SHORT and len(domain) <= _SHORT and _PLAIN_LOCAL(local) and domain.isascii():
        # Most domains are in the cache, and most local parts are accepted unchanged.
        known = _normalised_domain(domain)
        if known is not None:
            return f"{local.lower()}@{known}"
    from gatepost_core.address_text import address_in  # noqa: PLC0415 - most addresses need no second look

    return _normalised(address_in(address))


def _normalised(address: str) -> str:
    # email-validator checks both parts separately, except for the total length.
    local, at, domain = address.partition("@")
    known = _normalised_domain(domain) if at and len(local) <= _SHORT and len(domain) <= _SHORT else None
    if known is None:
        return _normalised_by_library(address)
    lowered = local.lower()
    if _WORDS(local) and all(_is_short_and_composed(form) for form in (local, lowered)):
        return f"{lowered}@{known}"
    normal = _normalised_by_library(local + _STAND_IN).removesuffix(_STAND_IN)
    composed = unicodedata.normalize("NFC", local)
    if max(len(form.encode()) for form in (local, composed, composed.lower(), normal)) > _SHORT:
        return _normalised_by_library(address)
    return f"{normal}@{known}"


def normalise_phone(number: str, region: str | None = None, rules: NumberRules | None = None) -> str:
    """Return the number in E.164. Normalising twice changes nothing.

    Args:
        number: a number as typed by a person or read from a file. Spaces and punctuation are allowed; a named extension is dropped.
        region: ISO 3166-1 code for numbers without a country code.
        rules: the rules of `gatepost_core.phone_numbers`; by default, those for a message.

    Returns:
        `+` and up to 15 digits.

    Raises:
        ValueError: it is no phone number, has two readings, or the rules refuse it; the message never repeats it.
    """
    # Imported with the first number: an application that sends e-mails needs no number plans.
    from gatepost_core.phone_numbers import read_phone  # noqa: PLC0415

    return read_phone(number, region, rules)


def is_address(recipient: str) -> bool:
    """Tell an e-mail address from a phone number by its form."""
    return "@" in recipient or "\uff20" in recipient


def is_no_recipient(text: str) -> bool:
    """Whether a text is neither an e-mail address nor a phone number at first sight: no `@`, and no digit or a letter first."""
    first = text.lstrip()[:4].lower()
    if is_address(text) or first == _PHONE_URI or first[:1] == _FORMULA:
        return False
    return first[:1].isalpha() or not any(map(str.isdigit, text[:_SHORT]))


def normalise_recipient(recipient: str) -> str:
    """Return an address or a number in the form in which Gatepost has stored it. A text with `@` is an address, also a full-width one.

    The number may be in no plan, and may be a land line: other rules may have accepted it.

    Raises:
        ValueError: it is neither; the message never repeats it.
    """
    if is_address(recipient):
        return normalise_email(recipient)
    if is_no_recipient(recipient):
        raise InvalidValue(NO_RECIPIENT)
    from gatepost_core.number_rules import TO_FIND  # noqa: PLC0415 - as above

    return normalise_phone(recipient, None, TO_FIND)


def reveal_in_context(value: SecretStr, info: SerializationInfo[Any]) -> str:
    """Serialize in clear only under the `REVEAL` context, as asterisks otherwise."""
    if info.context == REVEAL:
        return value.get_secret_value()
    return str(value)


def _checked_email(value: EmailAddress, info: ValidationInfo) -> EmailAddress:
    return value if info.context == STORED else EmailAddress(normalise_email(value.get_secret_value()))


def _checked_phone(value: PhoneNumber, info: ValidationInfo) -> PhoneNumber:
    """Check a number to send to, by the rules in the validation's context."""
    number = value.get_secret_value()
    if info.context == STORED and _E164(number):
        return value
    rules = info.context.get(NUMBER_RULES) if info.context else None
    return PhoneNumber(normalise_phone(number, None, rules))


def _checked_sent_phone(value: PhoneNumber, info: ValidationInfo) -> PhoneNumber:
    """Check a number that has received a code, by whatever rules."""
    number = value.get_secret_value()
    if info.context == STORED and _E164(number):
        return value
    from gatepost_core.number_rules import TO_FIND  # noqa: PLC0415 - as above

    return PhoneNumber(normalise_phone(number, None, TO_FIND))


def _checked_code(value: OneTimeCode) -> OneTimeCode:
    code = value.get_secret_value().strip()
    if not code or len(code) > _LONGEST_CODE or not code.isalnum() or not code.isascii():
        raise InvalidValue(f"is not a one-time code; give its 1 to {_LONGEST_CODE} letters or digits")
    return OneTimeCode(code)


def _is_short_and_composed(text: str) -> bool:
    return unicodedata.is_normalized("NFC", text) and len(text.encode()) <= _SHORT


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


_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch

_NOT_AN_ADDRESS: Final = "is not an e-mail address; write it as local-part@domain"
# Octets of a whole address: RFC 5321 4.5.3.1.3 with RFC 3696 erratum 1690, as email-validator counts.
_LONGEST_ADDRESS: Final = 254
_SHORT: Final = 64
_STAND_IN: Final = "@example.com"
# RFC 5322 3.2.3, dot-atom.
_ATOM: Final = r"[A-Za-z0-9_!#$%&'*+\-/=?^`{|}~]+"
_WORD: Final = r"[\w!#$%&'*+\-/=?^`{|}~]+"
# The same with letters and digits of all scripts. email-validator accepts all of them in their composed form.
_WORDS: Final = re.compile(rf"{_WORD}(?:\.{_WORD})*").fullmatch
_PLAIN_LOCAL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*").fullmatch

# A connection's `totp.length` is six by default, and Auth0 documents no maximum.
_LONGEST_CODE: Final = 64
_IN_CLEAR_ONLY_WHEN_SEALED = PlainSerializer(reveal_in_context, when_used="json")

EmailField = Annotated[EmailAddress, AfterValidator(_checked_email), _IN_CLEAR_ONLY_WHEN_SEALED]
PhoneField = Annotated[PhoneNumber, AfterValidator(_checked_phone), _IN_CLEAR_ONLY_WHEN_SEALED]
SentPhoneField = Annotated[PhoneNumber, AfterValidator(_checked_sent_phone), _IN_CLEAR_ONLY_WHEN_SEALED]
CodeField = Annotated[OneTimeCode, AfterValidator(_checked_code), _IN_CLEAR_ONLY_WHEN_SEALED]
