"""The rules that a phone number must meet. A caller chooses them; `gatepost_core.phone_numbers` applies them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gatepost_core.errors import FieldError, InvalidCommand


class Numbers(StrEnum):
    """The rule that a phone number must meet."""

    PLAN = "plan"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class NumberRules:
    """The rules for phone numbers.

    Attributes:
        numbers: `plan`: the number is in a range of its country's number plan. `length`: its length is enough where no reading is in a plan.
        allow_landlines: whether numbers that cannot receive SMS are accepted.
        former: whether forms that a country has given up are accepted.
        bare_is_national: whether other numbers of the same column prove that a number without country code and prefix is a national number.
    """

    numbers: Numbers = Numbers.PLAN
    allow_landlines: bool = False
    former: bool = False
    bare_is_national: bool = False


TO_SEND: Final = NumberRules()
"""The rules for a message, unless the caller chooses others."""
TO_FIND: Final = NumberRules(Numbers.LENGTH, allow_landlines=True, former=True)
"""The rules for a number that was accepted before: every number that any rules accept."""


def number_rules(numbers: str, *, allow_landlines: bool) -> NumberRules:
    """Return the rules by the names that a program gives.

    Raises:
        InvalidCommand: there is no such rule.
    """
    if numbers not in set(Numbers):
        raise InvalidCommand([FieldError("numbers", f"must be one of {', '.join(Numbers)}")])
    return NumberRules(Numbers(numbers), allow_landlines)
