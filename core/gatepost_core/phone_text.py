"""The characters of a phone number as people write it: digits, a plus and separators, and nothing that may be another number or a word."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gatepost_core.errors import InvalidValue
from gatepost_core.invisible_characters import refuse_invisible, stripped

_LONGEST: Final = 64
_PLAIN: Final = re.compile(r"\+?[0-9]+").fullmatch
_OTHER: Final = re.compile(r"[^0-9+()\[\]./ \-]")
_PLUS: Final = "+\uff0b\ufe62"
_OPENING: Final = dict.fromkeys(map(ord, "[\uff08\uff3b\u3014\u3010"), "(")
_CLOSING: Final = dict.fromkeys(map(ord, "]\uff09\uff3d\u3015\u3011"), ")")
_DASHES: Final = dict.fromkeys(map(ord, "\u2212\u30fc\uff0e\uff0f\u2053\u223c~"), "-")
# RFC 3966. A context that is a domain, and other parameters, leave the number unclear.
_URI: Final = re.compile(r"tel:(?P<number>[^;]*)(?P<parameters>(?:;.*)?)", re.IGNORECASE | re.DOTALL)
_PARAMETER: Final = re.compile(r";ext=[0-9.()-]*[0-9]|;phone-context=(?P<context>\+[0-9.()-]*[0-9])", re.IGNORECASE)
# A bare x is also what people write for a digit that they do not know.
_EXTENSION: Final = re.compile(
    r"(?:[\s,;-]*(?:ext(?:ension|n)?|extensi[oó]n|int(?:erno)?|durchwahl|dw|poste|anexo|ramal|toestel)[.:]?\s*|;ext=)[0-9]{1,7}$",
    re.IGNORECASE,
)
_QUOTED_FORMULA: Final = re.compile(r'="([^"]*)"')
_DATE: Final = re.compile(r"(?P<a>\d{1,4})([-./])(?P<b>\d{1,2})\2(?P<c>\d{1,4})")
_ADDRESS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_ZERO: Final = re.compile(r"\( *0 *\)")
_GROUPS: Final = re.compile(r"[0-9]+")

_LETTERS: Final = "contains letters or words; give only the number"
_SIGNS: Final = "contains a character that a phone number cannot have; give only one number"
_PLUSES: Final = "has a + that is not at the beginning; give only one number, with the + first"
_FORMULA: Final = "is a spreadsheet formula; replace it with the number as text"
_UNCLEAR_DATE: Final = "is written like a date; write it in E.164, with + and the country code first"
_UNCLEAR_IP: Final = "is written like an IP address; write it in E.164, with + and the country code first"
_NO_DIGITS: Final = "is not a phone number; write it in E.164, with + and the country code first"
_TOO_LONG: Final = "has too many digits for a phone number; give only one number, in E.164"


@dataclass(frozen=True, slots=True)
class Written:
    """The digits of a number.

    Attributes:
        plus: whether a plus precedes them.
        digits: all digits, in ASCII.
        zero_at: the position of a zero in brackets, as in +44 (0)20.
        ends: the positions where a group of digits ends; empty without separators.
    """

    plus: bool
    digits: str
    zero_at: int | None = None
    ends: frozenset[int] = frozenset()


def read_characters(text: str) -> Written:
    """Return the digits of a number.

    Raises:
        InvalidValue: it holds something else. The message does not repeat it.
    """
    text = _unwrapped(text)
    if _PLAIN(text):
        return _bounded(Written(text[0] == "+", text.removeprefix("+")))
    plain = _ascii(_without_extension(text))
    body = plain.lstrip("( ")
    plus = body.startswith("+")
    if "+" in body[1:]:
        raise InvalidValue(_PLUSES)
    if _OTHER.search(plain):
        raise InvalidValue(_SIGNS)
    if not plus:
        _refuse_other_notations(plain)
    groups = [*_GROUPS.finditer(plain)]
    zero = _ZERO.search(plain)
    sizes = [len(group[0]) for group in groups]
    ends = frozenset(sum(sizes[: number + 1]) for number in range(len(sizes))) if len(sizes) > 1 else frozenset()
    zero_at = sum(len(group[0]) for group in groups if group.end() <= zero.start()) if zero else None
    # At the beginning, it is the prefix of a national number.
    return _bounded(Written(plus, "".join(group[0] for group in groups), zero_at or None, ends))


def _unwrapped(text: str) -> str:
    text = stripped(text)
    quoted = _QUOTED_FORMULA.fullmatch(text)
    if quoted:
        text = quoted[1].strip()
    # A spreadsheet's mark for text.
    text = text.removeprefix("'").removeprefix("\u2019")
    if text.startswith("="):
        raise InvalidValue(_FORMULA)
    if len(text) > _LONGEST:
        raise InvalidValue(_TOO_LONG if _digits_only(text) else _SIGNS)
    refuse_invisible(text)
    return text


def _without_extension(text: str) -> str:
    uri = _URI.fullmatch(text)
    if uri is None:
        return _EXTENSION.sub("", text)
    number, context = uri["number"], ""
    rest = uri["parameters"]
    while rest:
        found = _PARAMETER.match(rest)
        if not found:
            raise InvalidValue(_SIGNS)
        context = found["context"] or context
        rest = rest[found.end() :]
    return number if number.startswith("+") else f"{context}{number}"


def _ascii(text: str) -> str:
    if text.isascii():
        if any(map(str.isalpha, text)):
            raise InvalidValue(_LETTERS)
        return text
    return "".join(map(_ascii_of, text.translate(_OPENING | _CLOSING | _DASHES)))


@lru_cache(maxsize=256)
def _ascii_of(character: str) -> str:
    if character.isascii() and not character.isalpha():
        return character
    if character in _PLUS:
        return "+"
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category in {"Zs", "Pd"}:
        return " " if category == "Zs" else "-"
    raise InvalidValue(_LETTERS if category.startswith("L") else _SIGNS)


def _refuse_other_notations(plain: str) -> None:
    date = _DATE.fullmatch(plain)
    if date and _is_date(date["a"], date["b"], date["c"]):
        raise InvalidValue(_UNCLEAR_DATE)
    # Groups of two digits are a usual way to write a number.
    if _ADDRESS.fullmatch(plain):
        parts = plain.split(".")
        if all(int(part) <= 255 for part in parts) and any(len(part) != 2 for part in parts):  # noqa: PLR2004 - the form of IPv4
            raise InvalidValue(_UNCLEAR_IP)


def _is_date(first: str, second: str, third: str) -> bool:
    year, others = (first, (second, third)) if len(first) == 4 else (third, (first, second))  # noqa: PLR2004 - years
    days = sorted(map(int, others))
    return (
        len(year) in {2, 4}
        and (len(year) == 2 or year[:2] in {"19", "20"})  # noqa: PLR2004 - years
        and 1 <= days[0] <= 12  # noqa: PLR2004 - months
        and days[1] <= 31  # noqa: PLR2004 - days
    )


def _bounded(written: Written) -> Written:
    if not written.digits:
        raise InvalidValue(_NO_DIGITS)
    if len(written.digits) > _MOST_DIGITS:
        raise InvalidValue(_TOO_LONG)
    return written


def _digits_only(text: str) -> bool:
    return text.isascii() and not _OTHER.search(text)


# A number of 15 digits after the longest prefix for calls abroad, its country code twice, and a zero in brackets.
_MOST_DIGITS: Final = 24
