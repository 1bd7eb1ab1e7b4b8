"""Characters that no screen shows: removed around a value, refused inside it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from gatepost_core.errors import InvalidValue

# Format characters, of which many are blank or change the direction of text, and the fillers and joiners that Unicode counts as marks or letters.
_INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_ANY: Final = re.compile(f"[{_INVISIBLE}\x00-\x08\x0e-\x1f\x7f-\x9f]")
_MAY_STAY: Final = re.compile(f"[^{_INVISIBLE}\x00]").fullmatch
_AROUND: Final = re.compile(rf"\A[\s{_INVISIBLE}\x00]+|[\s{_INVISIBLE}\x00]+\Z")


def stripped(text: str) -> str:
    """Return the text without blank and invisible characters around it."""
    text = text.strip()
    if not text or (_MAY_STAY(text[0]) and _MAY_STAY(text[-1])):
        return text
    return _AROUND.sub("", text)


def without_invisible(text: str) -> str:
    """Return the text without blanks around it and without invisible characters anywhere."""
    return text.strip() if text.isascii() and text.isprintable() else _ANY.sub("", text).strip()


def refuse_invisible(text: str) -> None:
    """Refuse a text with an invisible character inside it.

    Raises:
        InvalidValue: the message gives the character's name and its position, from 1.
    """
    found = _ANY.search(text) if not (text.isascii() and text.isprintable()) else None
    if found:
        name = unicodedata.name(found[0], f"U+{ord(found[0]):04X}").lower()
        raise InvalidValue(
            f"contains an invisible character at position {found.start() + 1}: {name} (U+{ord(found[0]):04X}); delete it"
        )
