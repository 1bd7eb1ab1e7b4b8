"""Foreign JSON: what a command carries on to Auth0 reads back as it was sealed, and what is too deep is refused where it enters."""

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
        # In a list, because it stands in the command's own object when it is read again: that counts as a level.
        readable = len(text) <= LONGEST_OBJECT and from_json(f"[{text}]".encode()) == [members]
    except (ValueError, RecursionError):
        # The encoder's and the decoder's own texts can quote what they stumble over.
        readable = False
    if not readable:
        raise ValueError(_REFUSED)
    return members


def within_levels(value: Any, most: int) -> bool:
    """Return whether JSON is nested no deeper; Python reads deeper than it copies and writes, and ends in an error of its own there."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most > 0 and all(within_levels(one, most - 1) for one in inner)


JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_checked)]
"""A JSON object that survives sealing."""
