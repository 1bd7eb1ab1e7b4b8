"""The number plans of all countries, compiled from the metadata of the `phonenumbers` library.

The library answers the same questions, and takes ten times as long: it searches its metadata for every number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import phonenumbers

if TYPE_CHECKING:
    from collections.abc import Iterator

_Match = re.Pattern[str]
_NOTHING: Final = re.compile(r"(?!)")

# Ranges reserved for fiction, which the library's plans leave out. They are for tests, like the domain `example.com`.
# https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama, Arcep decision 2018-0881, ComReg 15/136R2.
_FICTION: Final = {"GB": r"7700900\d{3}", "FR": r"63998\d{4}", "IE": r"2091\d{5}"}


class Use(Enum):
    """Whether a number of a plan can receive SMS."""

    SMS = "sms"
    VOICE = "voice"


@dataclass(frozen=True, slots=True)
class _Ranges:
    """The ranges of one plan for numbers of one length, in the order in which the library tries them."""

    every: _Match
    billed: _Match
    personal: _Match
    shared: _Match
    mobile: _Match
    fixed: _Match

    def use_of(self, national: str) -> Use | None:
        if not self.every.fullmatch(national):
            return None
        if self.billed.fullmatch(national):
            return Use.VOICE
        if self.personal.fullmatch(national):
            return Use.SMS
        if self.shared.fullmatch(national):
            return Use.VOICE
        if self.mobile.fullmatch(national):
            return Use.SMS
        return Use.VOICE if self.fixed.fullmatch(national) else None


class Plan:
    """The number plan of one region.

    Attributes:
        region: its ISO 3166-1 code; `001` for a code of no country.
        code: its country code.
        lengths: the possible lengths of a national number, with its area code.
        has_trunk_prefix: whether a number that is written for use inside the country begins with a prefix, mostly 0.
    """

    def __init__(self, region: str, metadata: Any) -> None:
        self.region = region
        self.code = str(metadata.country_code)
        self.lengths = frozenset(metadata.general_desc.possible_length)
        self.has_trunk_prefix = bool(metadata.national_prefix)
        self._metadata = metadata
        self._leading = re.compile(metadata.leading_digits) if metadata.leading_digits else None
        self._prefix = re.compile(metadata.national_prefix_for_parsing or "(?!)")
        self._transform = metadata.national_prefix_transform_rule
        self._abroad = re.compile(metadata.international_prefix or "(?!)")
        self._ranges: dict[int, _Ranges] = {}

    def use_of(self, national: str) -> Use | None:
        """Return the use of a national number; None if the plan has no such number."""
        size = len(national)
        ranges = self._ranges.get(size)
        if ranges is None:
            ranges = self._ranges.setdefault(size, _ranges(self.region, self._metadata, size))
        return ranges.use_of(national)

    def owns(self, national: str) -> bool:
        """Whether a number of a shared country code belongs to this region."""
        if self._leading is not None:
            return self._leading.match(national) is not None
        return self.use_of(national) is not None

    def without_prefix(self, national: str) -> str | None:
        """Return a number without the prefix for calls inside the country, carrier code included; None if it has none."""
        found = self._prefix.match(national)
        if not found or not found.end():
            return None
        if self._transform is None or not found.lastindex or found[found.re.groups] is None:
            return national[found.end() :]
        return self._prefix.sub(self._transform, national, count=1)

    def after_exit_code(self, digits: str) -> Iterator[str]:
        """Yield the digits after the prefix for calls abroad: after this country's prefix, and after the usual 00."""
        found = self._abroad.match(digits)
        if found:
            yield digits[found.end() :]
        if digits.startswith("00") and not (found and found.end() == len("00")):
            yield digits[2:]


@dataclass(frozen=True, slots=True)
class Country:
    """A country code and the regions that share it. The first region's lengths are those of all."""

    code: str
    plans: tuple[Plan, ...]

    def plan_of(self, national: str) -> tuple[Plan, Use] | None:
        """Return the plan and the use of a national number; None if it is in no plan."""
        for plan in self.plans:
            if len(self.plans) == 1 or plan.owns(national):
                use = plan.use_of(national)
                return None if use is None else (plan, use)
        return None


@lru_cache(maxsize=1000)
def country_at(digits: str) -> Country | None:
    """Return the country of the country code with which three digits begin; no code begins another."""
    for size in range(1, len(digits) + 1):
        code = digits[:size]
        regions = phonenumbers.region_codes_for_country_code(int(code))
        if regions and code[0] != "0":
            return _country(code, regions)
    return None


@lru_cache(maxsize=256)
def plan_of_region(region: str) -> Plan:
    """Return the plan of a region by its ISO 3166-1 code. The library must know it."""
    return Plan(region, phonenumbers.PhoneMetadata.metadata_for_region(region))


@lru_cache(maxsize=256)
def _country(code: str, regions: tuple[str, ...]) -> Country:
    if regions == (phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY,):
        return Country(code, (Plan(regions[0], phonenumbers.PhoneMetadata.metadata_for_nongeo_region(int(code))),))
    return Country(code, tuple(map(plan_of_region, regions)))


def _ranges(region: str, metadata: Any, size: int) -> _Ranges:
    def either(*descriptions: Any) -> _Match:
        patterns = [
            one.national_number_pattern
            for one in descriptions
            if one and one.national_number_pattern and (not one.possible_length or size in one.possible_length)
        ]
        return re.compile("|".join(f"(?:{one})" for one in patterns)) if patterns else _NOTHING

    every, mobile = either(metadata.general_desc), either(metadata.mobile)
    fiction = re.compile(_FICTION[region]) if region in _FICTION else None
    if fiction:
        every = re.compile(f"(?:{every.pattern})|(?:{fiction.pattern})")
        mobile = re.compile(f"(?:{mobile.pattern})|(?:{fiction.pattern})")
    return _Ranges(
        every,
        either(metadata.premium_rate, metadata.toll_free, metadata.shared_cost),
        either(metadata.voip, metadata.personal_number, metadata.pager),
        either(metadata.uan, metadata.voicemail),
        mobile,
        either(metadata.fixed_line),
    )
