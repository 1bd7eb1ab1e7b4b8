"""Types for what belongs to a person: their `repr` and `str` never show the value."""

from __future__ import annotations

from typing import Annotated, Any, Final

import email_validator
import phonenumbers
from pydantic import AfterValidator, PlainSerializer, SecretStr, SerializationInfo

REVEAL: Final = {"reveal": True}
"""Serialization context that writes the values in clear. Only sealing may use it."""


class Personal(SecretStr):
    """A value that is shown as asterisks wherever it is printed; `get_secret_value()` gives it."""


class EmailAddress(Personal):
    """An e-mail address, normalised and in lower case."""


class PhoneNumber(Personal):
    """A phone number in E.164, `+` and 1 to 15 digits."""


class OneTimeCode(Personal):
    """The code a person received."""


def normalise_email(address: str) -> str:
    """Return the address as Gatepost sends and compares it.

    Lower case throughout: how Auth0 treats case between start and token is not documented, so both calls get one form.

    Args:
        address: what a person or a file gave.

    Returns:
        The normalised address.

    Raises:
        ValueError: it is not an e-mail address; the message never repeats it.
    """
    try:
        checked = email_validator.validate_email(address.strip(), check_deliverability=False)
    except email_validator.EmailNotValidError:
        # The library's own text can quote the address.
        raise ValueError("is not an e-mail address; write it as local-part@domain") from None
    return checked.normalized.lower()


def normalise_phone(number: str, region: str | None = None) -> str:
    """Return the number in E.164.

    Args:
        number: what a person or a file gave; spaces and punctuation are fine.
        region: ISO 3166-1 code used when the number has no country code.

    Returns:
        `+` and up to 15 digits.

    Raises:
        ValueError: it cannot be a phone number; the message never repeats it.
    """
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        raise ValueError("is not a phone number; write it in E.164, such as + country code and number") from None
    if not phonenumbers.is_possible_number(parsed):
        raise ValueError("has the wrong number of digits for its country; write it in E.164")
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
        raise ValueError(f"is not a one-time code; give its 1 to {_LONGEST_CODE} letters or digits")
    return OneTimeCode(code)


# `totp.length` of a connection is six by default; no documented maximum, so the bound is generous.
_LONGEST_CODE: Final = 64
_IN_CLEAR_ONLY_WHEN_SEALED = PlainSerializer(reveal_in_context, when_used="json")

EmailField = Annotated[EmailAddress, AfterValidator(_checked_email), _IN_CLEAR_ONLY_WHEN_SEALED]
PhoneField = Annotated[PhoneNumber, AfterValidator(_checked_phone), _IN_CLEAR_ONLY_WHEN_SEALED]
CodeField = Annotated[OneTimeCode, AfterValidator(_checked_code), _IN_CLEAR_ONLY_WHEN_SEALED]
