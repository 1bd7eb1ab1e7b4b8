"""The characters of a pasted e-mail address: surrounding ones are removed, and impossible ones are named."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from gatepost_core.errors import InvalidValue
from gatepost_core.invisible_characters import refuse_invisible, stripped

_MAILTO: Final = re.compile(r"mailto:([^?]*)", re.IGNORECASE)
# RFC 5322 3.4: a display name, and the address in angle brackets.
_NAMED: Final = re.compile(r'(?:"[^"@<>]*"|[^"@<>,;]*)\s*<([^<>]*)>')
_QUOTED_FORMULA: Final = re.compile(r'="([^"]*)"')
_FORMULA: Final = re.compile(r"=\s*[A-Za-z.]+\(")
_SEVERAL: Final = re.compile(r"@[^@]*[\s,;|/][^@]*@")
_WRAPPED: Final = re.compile("[=<:]")
_FULL_WIDTH: Final = re.compile("[\uff01-\uff9f\uffe0-\uffee]")
# A letter of UTF-8 that was read as Windows text or as Latin-1.
_MOJIBAKE: Final = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)

_SEVERAL_ADDRESSES: Final = "contains several addresses; write each address in a separate row"
_IS_FORMULA: Final = "is a spreadsheet formula; replace it with the address as text"
_WRONG_ENCODING: Final = "contains characters of a wrong encoding, such as Ã© for é; export the file as UTF-8, or give its encoding (--encoding)"
_LONGEST: Final = 1_000


def address_in(text: str) -> str:
    """Return the address in a text.

    Args:
        text: an address, also with a display name, `mailto:`, or blank and invisible characters around it.

    Raises:
        InvalidValue: it contains several addresses, or characters that no address has. The message never repeats the address.
    """
    text = stripped(text)
    if len(text) > _LONGEST:
        return text
    refuse_invisible(text)
    if text.count("@") > 1 and _SEVERAL.search(text):
        raise InvalidValue(_SEVERAL_ADDRESSES)
    if _WRAPPED.search(text):
        text = _unwrapped(text)
    return text if text.isascii() else _of_real_scripts(text)


def _unwrapped(text: str) -> str:
    for form in (_QUOTED_FORMULA, _NAMED, _MAILTO):
        found = form.fullmatch(text)
        if found:
            text = stripped(found[1])
    if _FORMULA.match(text):
        raise InvalidValue(_IS_FORMULA)
    return text


def has_full_width(text: str) -> bool:
    """Whether a text holds full-width characters, which are read as their usual forms."""
    return not text.isascii() and _FULL_WIDTH.search(text) is not None


def _of_real_scripts(text: str) -> str:
    if _MOJIBAKE.search(text) and _is_misread(text):
        raise InvalidValue(_WRONG_ENCODING)
    if _FULL_WIDTH.search(text):
        text = _FULL_WIDTH.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    at = text.find("@")
    for place, character in enumerate(text):
        if character > "\x7f" and not (_is_of_a_script(character) or (place > at >= 0 and character in _OF_DOMAINS)):
            raise InvalidValue(
                f"contains a character that an address cannot have, at position {place + 1}: {_name(character)}; replace or delete it"
            )
    return text


def _is_misread(text: str) -> bool:
    for encoding in ("cp1252", "latin-1"):
        try:
            text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        return True
    return False


@lru_cache(maxsize=4096)
def _is_of_a_script(character: str) -> bool:
    return (
        unicodedata.category(character)[0] in "LMN"
        # Ligatures, superscripts and mathematical letters are other ways to print a letter.
        and not unicodedata.decomposition(character).startswith("<")
    )


def _name(character: str) -> str:
    code = f"U+{ord(character):04X}"
    return f"{unicodedata.name(character, 'unnamed').lower()} ({code})"


# A dot of UTS 46, and the signs that RFC 5892 A.3 to A.7 allows in domains. In a local part, email-validator judges them.
_OF_DOMAINS: Final = "\u3002\u00b7\u0375\u05f3\u05f4\u30fb"
