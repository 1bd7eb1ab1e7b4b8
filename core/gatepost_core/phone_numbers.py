"""Reads a phone number as people write it. A number that can be read in two ways is refused, and never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gatepost_core.errors import InvalidValue
from gatepost_core.former_numbers import refuse_former
from gatepost_core.number_rules import TO_SEND, NumberRules, Numbers
from gatepost_core.phone_plans import Country, Plan, Use, country_at, plan_of_region
from gatepost_core.phone_text import Written, read_characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


NOT_IN_PLAN: Final = "is not in its country's number plan; correct it, or check only its length (--numbers length)"
NO_SMS: Final = "cannot receive SMS, because it is a land line, toll-free or premium number; remove it, or allow such numbers (--allow-landlines)"
_WRONG_LENGTH: Final = "has the wrong number of digits for its country; write it in E.164"
_NO_COUNTRY: Final = "has no country code; write it in E.164, with + and the country code first, or, for a file, give the country with --region"
_UNKNOWN_CODE: Final = "has a country code that does not exist; write it in E.164, with + and the country code first"
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
_LONGEST: Final = 15


class _How(StrEnum):
    """How a reading explains the digits. The value is part of a message."""

    PLUS = "with the country code"
    EXIT = "after the prefix for calls abroad"
    NATIONAL = "as a national number"
    BARE = "as a national number, without its prefix"
    OWN_CODE = "with the country code, without +"
    OTHER_CODE = "with another country code, without +"
    TWICE = "with its country code written twice"
    KEPT_ZERO = "with the 0 in brackets"


@dataclass(frozen=True, slots=True)
class _Reading:
    number: str
    region: str
    use: Use
    how: _How
    code: str


def read_phone(text: str, region: str | None = None, rules: NumberRules | None = None) -> str:
    """Return the number in E.164.

    Args:
        text: a number as typed by a person or read from a file.
        region: ISO 3166-1 code for numbers without a country code.
        rules: the rules; by default, those for a message.

    Raises:
        InvalidValue: it is not a number, has several readings, or the rules refuse it. The message never repeats it.
    """
    rules = rules or TO_SEND
    if _E164(text):
        country = country_at(text[1:4])
        found = country and country.plan_of(text[1 + len(country.code) :])
        if found:
            return _usable(text, found[1], rules)
    written = read_characters(text)
    if not rules.former:
        refuse_former(written.digits, region, plus=written.plus)
    readings = {one.number: one for one in reversed([*_readings(written, region)])}
    chosen = _chosen([*readings.values()], written, rules)
    if chosen is not None:
        return _usable(chosen.number, chosen.use, rules)
    by_length = {number for number, _ in _by_length(written, region)}
    if len(by_length) == 1 and rules.numbers is Numbers.LENGTH:
        return by_length.pop()
    raise InvalidValue(_why(written, region, by_length))


def is_only_national(text: str, region: str) -> bool | None:
    """Tell how a number without plus and prefix can be read: only as a national number, only with a country code, or None for neither.

    Args:
        text: a number as a file has it.
        region: the region of national numbers.
    """
    try:
        written = read_characters(text)
    except InvalidValue:
        return None
    if written.plus or written.digits.startswith("0"):
        return None
    hows = {one.how for one in _readings(written, region)}
    if hows and hows <= {_How.NATIONAL, _How.BARE}:
        return True
    return False if hows and hows <= {_How.OWN_CODE, _How.OTHER_CODE} else None


def plan_and_use(number: str) -> tuple[str, Use | None]:
    """Return the region of a number in E.164 and its use. A number in no plan counts for the first region of its code."""
    country = country_at(number[1:4])
    if country is None:
        return "ZZ", None
    found = country.plan_of(number[1 + len(country.code) :])
    return (found[0].region, found[1]) if found else (country.plans[0].region, None)


def _usable(number: str, use: Use, rules: NumberRules) -> str:
    if use is Use.VOICE and not rules.allow_landlines:
        raise InvalidValue(NO_SMS)
    return number


def _readings(written: Written, region: str | None) -> Iterator[_Reading]:
    """Yield all readings that are in a number plan."""
    if written.zero_at is not None:
        yield from _readings_of(_without_zero(written), region, plus=written.plus)
        yield from (replace(one, how=_How.KEPT_ZERO) for one in _readings_of(written.digits, region, plus=written.plus))
    else:
        yield from _readings_of(written.digits, region, plus=written.plus)


def _readings_of(digits: str, region: str | None, *, plus: bool) -> Iterator[_Reading]:
    if plus:
        yield from _international(digits, _How.PLUS)
        yield from _repeated_code(digits)
        return
    if region is None:
        if digits.startswith("00"):
            yield from _international(digits[2:], _How.EXIT)
        return
    plan = plan_of_region(region)
    for rest in plan.after_exit_code(digits):
        yield from _international(rest, _How.EXIT)
    own = digits.startswith(plan.code)
    with_code = [*_international(digits, _How.OWN_CODE if own else _How.OTHER_CODE)]
    yield from with_code
    yield from _national(plan, digits, with_own_code=own and bool(with_code))


def _without_zero(written: Written) -> str:
    at = written.zero_at
    return written.digits if at is None else written.digits[:at] + written.digits[at + 1 :]


def _international(digits: str, how: _How) -> Iterator[_Reading]:
    country = country_at(digits[:3])
    if country is None:
        return
    national = digits[len(country.code) :]
    for form in (national, country.plans[0].without_prefix(national)):
        found = country.plan_of(form) if form and len(country.code) + len(form) <= _LONGEST else None
        if form and found:
            yield _Reading(f"+{country.code}{form}", found[0].region, found[1], how, country.code)
            return


def _repeated_code(digits: str) -> Iterator[_Reading]:
    """Read a number whose country code is there twice, or whose plus precedes a prefix for calls abroad."""
    if digits.startswith("00"):
        yield from _international(digits[2:], _How.PLUS)
        return
    country = country_at(digits[:3])
    if country:
        rest = digits[len(country.code) :].removeprefix("00")
        if rest.startswith(country.code):
            yield from _international(rest, _How.TWICE)


def _national(plan: Plan, digits: str, *, with_own_code: bool) -> Iterator[_Reading]:
    country = country_at(plan.code)
    if country is None:
        return
    stripped = plan.without_prefix(digits)
    if stripped is not None:
        yield from _in_plan(country, plan, stripped, _How.NATIONAL)
    # In a plan with a prefix, a number without it is damaged, and its own country code explains it better.
    if not plan.has_trunk_prefix or not with_own_code:
        yield from _in_plan(country, plan, digits, _How.BARE if plan.has_trunk_prefix else _How.NATIONAL)


def _in_plan(country: Country, plan: Plan, national: str, how: _How) -> Iterator[_Reading]:
    possible = len(national) in plan.lengths and len(plan.code) + len(national) <= _LONGEST
    found = country.plan_of(national) if possible else None
    if found:
        yield _Reading(f"+{country.code}{national}", found[0].region, found[1], how, country.code)


def _chosen(readings: list[_Reading], written: Written, rules: NumberRules) -> _Reading | None:
    """Return the one reading that is left."""
    if len(readings) > 1 and written.ends:
        # A country code ends where a group of digits ends.
        readings = [
            one for one in readings if one.how not in {_How.OWN_CODE, _How.OTHER_CODE} or len(one.code) in written.ends
        ]
    if len(readings) > 1 and rules.bare_is_national:
        readings = [one for one in readings if one.how is not _How.OTHER_CODE]
    if len(readings) > 1:
        first, second, *_ = readings
        raise InvalidValue(
            f"has two readings: {first.region} {first.how}, or {second.region} {second.how}; write it with + and its country code"
        )
    return readings[0] if readings else None


def _by_length(written: Written, region: str | None) -> Iterator[tuple[str, str]]:
    """Yield the readings that have a possible length, each with its region."""
    digits = _without_zero(written)
    if written.plus:
        yield from _possible(digits)
        return
    if region is None:
        if digits.startswith("00"):
            yield from _possible(digits[2:])
        return
    plan = plan_of_region(region)
    for rest in plan.after_exit_code(digits):
        yield from _possible(rest)
    if digits.startswith(plan.code):
        yield from _possible(digits)
    national = plan.without_prefix(digits) or digits
    if len(national) in plan.lengths:
        yield f"+{plan.code}{national}", region


def _possible(digits: str) -> Iterator[tuple[str, str]]:
    country = country_at(digits[:3])
    if country is None:
        return
    plan, national = country.plans[0], digits[len(country.code) :]
    for form in (national, plan.without_prefix(national)):
        if form and len(form) in plan.lengths and len(country.code) + len(form) <= _LONGEST:
            yield f"+{country.code}{form}", plan.region
            return


def _why(written: Written, region: str | None, by_length: Iterable[str]) -> str:
    if by_length:
        return NOT_IN_PLAN
    if not written.plus and region is None and not written.digits.startswith("00"):
        return _NO_COUNTRY
    if written.plus and country_at(written.digits[:3]) is None:
        return _UNKNOWN_CODE
    return _WRONG_LENGTH
