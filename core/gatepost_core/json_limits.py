"""Limits of foreign JSON: objects that a command passes to Auth0 survive sealing, and nested values are not too deep."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, JsonValue
from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_OBJECT: Final = 65_536
"""Characters of one object as JSON."""
_REFUSED: Final = (
    f"cannot be carried: an object has at most {LONGEST_OBJECT:,} characters and some 200 levels, finite numbers, and no half of a"
    " surrogate pair"
)


def _checked(members: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    if not members:
        return members
    try:
        text = json.dumps(members, ensure_ascii=False, allow_nan=False)
        # In a list: the command's own object adds a level when it is read again.
        readable = len(text) <= LONGEST_OBJECT and from_json(f"[{text}]".encode()) == [members]
    except (ValueError, RecursionError):
        # The texts of these errors can quote the value.
        readable = False
    if not readable:
        raise ValueError(_REFUSED)
    return members


def within_levels(value: Any, most: int) -> bool:
    """Return whether JSON has at most this many levels. Python reads deeper values than it can copy and write."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most > 0 and all(within_levels(one, most - 1) for one in inner)


JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_checked)]
"""A JSON object that survives sealing."""
