"""The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), quoted as the draft says or bare."""

from __future__ import annotations

import re
from typing import Final

from gatepost_core.errors import InvalidCommand
from gatepost_operations.web.api.problems import Problem, Type

_LONGEST: Final = 256
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
# A structured field's String: printable ASCII, with backslashes before quotes and backslashes.
_QUOTED: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_ESCAPE: Final = re.compile(r'\\(["\\])')
_FORM: Final = f"must have 1 to {_LONGEST} printable ASCII characters, in quotes or without spaces"


def read_idempotency_key(header: str | None) -> str | None:
    """Return the key in a header; the same one, whether it is quoted or bare. None without a header.

    Raises:
        Problem: it is malformed.
    """
    if header is None:
        return None
    text = header.strip()
    quoted = _QUOTED.fullmatch(text)
    key = _ESCAPE.sub(r"\1", quoted[1]) if quoted else text
    bare = not text.startswith('"') and _VISIBLE.fullmatch(text)
    if not (quoted or bare) or not 0 < len(key) <= _LONGEST:
        raise Problem(Type.MALFORMED, f"The header Idempotency-Key {_FORM}.")
    return key


def check_item_key(key: object) -> str | None:
    """Return the idempotency key of one item, or None.

    Raises:
        InvalidCommand: it is malformed.
    """
    if key is None:
        return None
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST or not key.isascii() or not key.isprintable():
        raise InvalidCommand([("idempotency_key", f"must have 1 to {_LONGEST} printable ASCII characters")])
    return key
