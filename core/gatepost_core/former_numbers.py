"""Forms of numbers that a country has given up, each with its new form."""

from __future__ import annotations

import re
from typing import Final

from gatepost_core.errors import InvalidValue

# By country code: the digits after it, and the advice. The new forms are those of the countries' regulators.
_AFTER_CODE: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "52": ((r"1\d{10}", "Mexico left out the 1 after +52 in 2019; delete it"),),
    "55": (
        (
            r"0?[1-9]{2}[6-9]\d{7}",
            "Brazil put a 9 before the eight digits of a mobile number in 2016; write it after the area code",
        ),
    ),
    "225": (
        (r"[04-9][0-3]\d{6}", "Ivory Coast put 01 before such a mobile number in 2021; write it after +225"),
        (r"[04-9][4-6]\d{6}", "Ivory Coast put 05 before such a mobile number in 2021; write it after +225"),
        (r"[04-9][7-9]\d{6}", "Ivory Coast put 07 before such a mobile number in 2021; write it after +225"),
        (r"\d{8}|\d{7}", "Ivory Coast has numbers of ten digits since 2021; ask for the new one"),
    ),
    "229": ((r"\d{8}", "Benin put 01 before all numbers in 2024; write it after +229"),),
    "84": (
        (r"0?16[2-9]\d{7}", "Vietnam replaced 16 with 3 in 2018"),
        (r"0?120\d{7}", "Vietnam replaced 120 with 70 in 2018"),
        (r"0?121\d{7}", "Vietnam replaced 121 with 79 in 2018"),
        (r"0?122\d{7}", "Vietnam replaced 122 with 77 in 2018"),
        (r"0?126\d{7}", "Vietnam replaced 126 with 76 in 2018"),
        (r"0?128\d{7}", "Vietnam replaced 128 with 78 in 2018"),
        (r"0?12[345]\d{7}", "Vietnam replaced 12 with 8 in 2018"),
        (r"0?127\d{7}", "Vietnam replaced 127 with 81 in 2018"),
        (r"0?129\d{7}", "Vietnam replaced 129 with 82 in 2018"),
    ),
}
_AT_HOME: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "MX": ((r"04[45]\d{10}|01\d{10}", "Mexico left out 01, 044 and 045 in 2019; write +52 and the ten digits"),),
}
_CODE_OF: Final = {"MX": "52", "BR": "55", "CI": "225", "BJ": "229", "VN": "84"}


def refuse_former(digits: str, region: str | None, *, plus: bool) -> None:
    """Refuse a number in a form that its country has given up.

    Args:
        digits: the number's digits.
        region: ISO 3166-1 code for numbers without a country code.
        plus: whether a plus precedes the digits.

    Raises:
        InvalidValue: the message gives the new form, and not the number.
    """
    if not plus and not digits.startswith("00") and region not in _CODE_OF:
        return
    rest = digits.removeprefix("00")
    for code, forms in _AFTER_CODE.items():
        at_home = not plus and region is not None and _CODE_OF.get(region) == code
        if rest.startswith(code) and (plus or rest != digits or at_home):
            _refuse(rest[len(code) :], forms)
        if at_home:
            _refuse(digits, forms)
    if not plus and region in _AT_HOME:
        _refuse(digits, _AT_HOME[region])


def _refuse(national: str, forms: tuple[tuple[str, str], ...]) -> None:
    for pattern, advice in forms:
        if re.fullmatch(pattern, national):
            raise InvalidValue(f"is in a form that is no longer used: {advice}")
