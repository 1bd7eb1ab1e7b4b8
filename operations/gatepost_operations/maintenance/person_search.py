"""Search a document for a person: in nested JSON, base64, sealed values, percent-encoding and other spellings.

Erasure uses it on dead letters. A false match only drops one more letter, so the search prefers false matches to misses.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from gatepost_core.identifiers import normalise_email

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DEEPEST: Final = 60
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}")
_WITH_DOTS: Final = re.compile(r"[A-Za-z0-9_.-]{20,}")
_SEALED_BEGINS: Final = "eyJ"
_SEALED_PARTS: Final = 5
# The longest local part and domain (RFC 5321 4.5.3.1). Without these bounds, the search of a long text would be slow.
_ADDRESS: Final = re.compile(r"[^\s<>\"',;:()\[\]{}@]{1,64}@[^\s<>\"',;:()\[\]{}@]{1,255}")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_URL_SAFE: Final = str.maketrans("-_", "+/")
# Unicode's stream-safe form allows 30 marks (UAX 15). Three more letters have class 0 and decompose into marks.
_MOST_MARKS: Final = 30
_MARKS_OF_NO_CLASS: Final = frozenset("\u0f73\u0f75\u0f81")
_BETWEEN_DIGITS: Final = re.compile(r"[\s().\-/]")


class PersonSearch:
    """Searches documents for one person."""

    def __init__(self, recipient: str, unseal: Callable[[str], str | None]) -> None:
        """Prepare the search.

        Args:
            recipient: the normalised address, or the number in E.164.
            unseal: opens a sealed value, or returns None if it cannot.
        """
        self._is_address = "@" in recipient
        self._form = _folded(recipient) if self._is_address else recipient.removeprefix("+")
        self._recipient = recipient
        self._unseal = unseal
        self._is_too_deep = False

    def is_in(self, document: Any) -> bool | None:
        """Return whether a JSON document mentions the person; None if it is nested too deeply to be searched completely."""
        self._is_too_deep = False
        if any(self._mentions(text) for text in self._texts(document, 0)):
            return True
        return None if self._is_too_deep else False

    def _texts(self, value: Any, depth: int) -> Iterator[str]:
        if depth > _DEEPEST:
            self._is_too_deep = True
            return
        match value:
            case str():
                yield value
                for inner in self._inside(value):
                    yield from self._texts(inner, depth + 1)
            case dict():
                for name, one in value.items():
                    yield from self._texts(name, depth + 1)
                    yield from self._texts(one, depth + 1)
            case list():
                for one in value:
                    yield from self._texts(one, depth + 1)
            case int():
                yield str(value)

    def _inside(self, text: str) -> Iterator[Any]:
        stripped = text.strip()
        if stripped[:1] in {"{", "[", '"'}:
            try:
                yield json.loads(stripped)
            except (ValueError, RecursionError):
                pass
            else:
                return
        # The text is not JSON, or was truncated: search its parts.
        for sealed in _sealed_in(text):
            yield self._unseal(sealed)
        for token in _BASE64.findall(text):
            # One character more than a multiple of four encodes no whole byte.
            whole = token[:-1] if len(token) % 4 == 1 else token
            padded = whole.translate(_URL_SAFE) + "=" * (-len(whole) % 4)
            yield base64.b64decode(padded).decode("utf-8", "replace")

    def _mentions(self, text: str) -> bool:
        # In UTF-16, every ASCII letter has a zero byte beside it.
        text = text.replace("\0", "")
        forms = {text}
        if "%" in text:
            forms.add(unquote(text))
        if "\\u" in text:
            forms.add(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))
        if not self._is_address:
            return any(self._form in _BETWEEN_DIGITS.sub("", form) for form in forms)
        return any(self._form in _folded(form) or self._mentions_address(form) for form in forms)

    def _mentions_address(self, text: str) -> bool:
        for found in set(_ADDRESS.findall(text)) if "@" in text else ():
            try:
                if normalise_email(found) == self._recipient:
                    return True
            except ValueError:
                continue
        return False


def _sealed_in(text: str) -> Iterator[str]:
    """Yield every part of a text that may be a compact JWE."""
    for run in _WITH_DOTS.findall(text):
        parts = run.split(".")
        for first in range(len(parts) - _SEALED_PARTS + 1):
            begin = parts[first].find(_SEALED_BEGINS)
            if begin >= 0:
                yield ".".join([parts[first][begin:], *parts[first + 1 : first + _SEALED_PARTS]])


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text if text.isascii() else _with_few_marks(text)).casefold()


def _with_few_marks(text: str) -> str:
    # Normalisation takes quadratic time in the number of marks on one letter.
    kept, marks = [], 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) or letter in _MARKS_OF_NO_CLASS else 0
        if marks <= _MOST_MARKS:
            kept.append(letter)
    return "".join(kept)
