"""The one reading of every shape in which an error's body comes.

Shapes: A `{error, error_description}`; B `{name, code, description}`, where the description may be an object; C `{statusCode, error,
message, errorCode}`; D `{error}` alone or `{code, error_description}`; E plain text, HTML or nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_LIMIT: Final = 2048
_MOST_LEVELS: Final = 64
_CODE_LIMIT: Final = 64
# Words, and a number of three digits at most: a code is printed, and more digits could be a token, a one-time code or a phone number.
_CODE: Final = re.compile(r"[A-Za-z]{1,32}\d*(?:[_.\-](?:[A-Za-z]{1,32}\d*|\d+))*", re.ASCII)
_MOST_DIGITS: Final = 3
_PHRASES: Final = frozenset(
    status.phrase for status in HTTPStatus
)  # shape C writes "Too Many Requests" where others write a code
_CODE_MEMBERS: Final = ("errorCode", "error", "code")
_TEXT_MEMBERS: Final = ("error_description", "description", "message", "error")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An error's body, read.

    Attributes:
        code: the error code as written, at most 64 characters; None if there is none that is safe to show.
        coded: whether there is a code at all.
        text: the human text, at most 2048 characters; it can hold the address and is never printed.
        members: the JSON object's members; empty for shape E.
    """

    code: str | None = None
    coded: bool = False
    text: str = field(default="", repr=False)
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def normal_code(self) -> str:
        """The code for comparing: lower case, spaces as underscores, empty if there is none."""
        return (self.code or "").lower().replace(" ", "_")


def parse_error_body(body: bytes) -> ErrorBody:
    """Return what an error's body says, by java's precedence of members.

    Args:
        body: the body as it came; anything at all.
    """
    try:
        members = json.loads(body) if body else None
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        return ErrorBody(text=body[: 4 * TEXT_LIMIT].decode("utf-8", "replace")[:TEXT_LIMIT])
    codes = [members[name] for name in _CODE_MEMBERS if members.get(name) and isinstance(members[name], str)]
    return ErrorBody(
        code=next(filter(_is_code, codes), None),
        coded=bool(codes),
        text=_as_text(_first(members, _TEXT_MEMBERS))[:TEXT_LIMIT].encode("utf-8", "replace").decode(),
        members=members,
    )


def is_sound(value: object) -> bool:
    """Return whether a value can be written as JSON again: finite numbers, no half of a surrogate pair, some tens of levels."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return _has_levels(value, _MOST_LEVELS)


def _has_levels(value: object, most: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most > 0 and all(_has_levels(one, most - 1) for one in inner)


def _is_code(text: str) -> bool:
    if text in _PHRASES:
        return True
    return len(text) <= _CODE_LIMIT and sum(map(str.isdigit, text)) <= _MOST_DIGITS and bool(_CODE.fullmatch(text))


def _first(members: Mapping[str, Any], names: tuple[str, ...]) -> object:
    return next((members[name] for name in names if members.get(name)), None)


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
