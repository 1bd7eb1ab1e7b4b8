"""Whether a foreign document mentions a person, in whatever form: nested JSON, base64, compressed, sealed, percent-encoded, spelled otherwise.

For erasure, which would rather drop a letter too many than leave one.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from gatepost_core.identifiers import normalise_email
from gatepost_operations.maintenance.unpacking import LONGEST_UNPACKED, CannotUnpack, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DEEPEST: Final = 60
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}")
_WITH_DOTS: Final = re.compile(r"[A-Za-z0-9_.-]{20,}")
_SEALED_BEGINS: Final = "eyJ"
_SEALED_PARTS: Final = 5
# As much on both sides of an @ as an address can have (RFC 5321 4.5.3.1); without bounds a long text would take a long time.
_ADDRESS: Final = re.compile(r"[^\s<>\"',;:()\[\]{}@]{1,64}@[^\s<>\"',;:()\[\]{}@]{1,255}")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_URL_SAFE: Final = str.maketrans("-_", "+/")
# How a document says that it is packed, unless in one of those.
_PACKED: Final = re.compile(r"compression|content[-_]encoding", re.IGNORECASE)
_PLAIN: Final = re.compile(r"utf-?8|utf-?16([lb]e)?|(us-)?ascii|latin-?1|iso-8859-\d+|binary|identity|", re.IGNORECASE)
# As Unicode's stream-safe form allows (UAX 15), and those which have no class and are made of marks that have one.
_MOST_MARKS: Final = 30
_MARKS_OF_NO_CLASS: Final = frozenset("\u0f73\u0f75\u0f81")
_BETWEEN_DIGITS: Final = re.compile(r"[\s().\-/]")


class PersonSearch:
    """One person, looked for in documents."""

    def __init__(self, recipient: str, unseal: Callable[[str], str | None]) -> None:
        """Look for somebody.

        Args:
            recipient: the normalised address, or the number in E.164.
            unseal: opens a sealed value, or returns None when it cannot.
        """
        self._is_address = "@" in recipient
        self._form = _folded(recipient) if self._is_address else recipient.removeprefix("+")
        self._recipient = recipient
        self._unseal = unseal
        self._room = 0
        self._unread = self._is_packed = self._was_unpacked = False

    def is_in(self, document: Any) -> bool | None:
        """Whether the person is in a document, as JSON gives it; None when a part of it cannot be read, and they are not in the rest."""
        self._room = LONGEST_UNPACKED
        self._unread = self._is_packed = self._was_unpacked = False
        if any(self._is_said(text) for text in self._texts(document, 0)):
            return True
        return None if self._unread or (self._is_packed and not self._was_unpacked) else False

    def _texts(self, value: Any, depth: int) -> Iterator[str]:
        if depth > _DEEPEST:
            self._unread = True
            return
        match value:
            case str():
                yield value
                for inner in self._inside(value):
                    yield from self._texts(inner, depth + 1)
            case dict():
                for name, one in value.items():
                    if isinstance(one, str) and _PACKED.fullmatch(str(name)) and not _PLAIN.fullmatch(one):
                        self._is_packed = True
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
        yield self._unpacked(_bytes_of(text))
        # A text that is no JSON, perhaps because it was cut off: whatever in it may be more.
        for sealed in _sealed_in(text):
            yield self._unseal(sealed)
        for token in _BASE64.findall(text):
            # One character more than a multiple of four holds no whole byte.
            whole = token[:-1] if len(token) % 4 == 1 else token
            padded = whole.translate(_URL_SAFE) + "=" * (-len(whole) % 4)
            decoded = base64.b64decode(padded)
            yield self._unpacked(decoded) or decoded.decode("utf-8", "replace")

    def _unpacked(self, data: bytes) -> str | None:
        try:
            found = unpacked(data, self._room)
        except CannotUnpack:
            self._unread = True
            return None
        if found is not None:
            self._room -= len(found)
            self._was_unpacked = True
        return None if found is None else found.decode("utf-8", "replace")

    def _is_said(self, text: str) -> bool:
        # UTF-16 has a zero beside every letter of ASCII's.
        text = text.replace("\0", "")
        forms = {text}
        if "%" in text:
            forms.add(unquote(text))
        if "\\u" in text:
            forms.add(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))
        if not self._is_address:
            return any(self._form in _BETWEEN_DIGITS.sub("", form) for form in forms)
        return any(self._form in _folded(form) or self._is_spelled_in(form) for form in forms)

    def _is_spelled_in(self, text: str) -> bool:
        for found in set(_ADDRESS.findall(text)) if "@" in text else ():
            try:
                if normalise_email(found) == self._recipient:
                    return True
            except ValueError:
                continue
        return False


def _bytes_of(text: str) -> bytes:
    try:
        # A body's byte that is no UTF-8 is kept so.
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _sealed_in(text: str) -> Iterator[str]:
    """Give what may be a compact JWE in a text."""
    for run in _WITH_DOTS.findall(text):
        parts = run.split(".")
        for first in range(len(parts) - _SEALED_PARTS + 1):
            begin = parts[first].find(_SEALED_BEGINS)
            if begin >= 0:
                yield ".".join([parts[first][begin:], *parts[first + 1 : first + _SEALED_PARTS]])


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text if text.isascii() else _with_few_marks(text)).casefold()


def _with_few_marks(text: str) -> str:
    # To put the marks on one letter in order takes the square of their number.
    kept, marks = [], 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) or letter in _MARKS_OF_NO_CLASS else 0
        if marks <= _MOST_MARKS:
            kept.append(letter)
    return "".join(kept)
