"""The facts of an audit entry in words, for the command line and the console."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.model import SHORT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SAYS_NOTHING: Final[tuple[Any, ...]] = (None, [], {})


def facts_of(about: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    """Yield the facts of an entry in words, without those that say nothing.

    Args:
        about: the entry's facts.
        names: the names of campaigns by id.
    """
    for name, value in about.items():
        if value in _SAYS_NOTHING:
            continue
        match value:
            case bool():
                yield from [name] if value else []
            case dict() if name == "changes":
                yield from (f"{option} {_word(old)} → {_word(new)}" for option, (old, new) in value.items())
            case dict():
                yield from (f"{part} {_word(number)}" for part, number in value.items() if number)
            case str() if name == "campaign":
                yield f"campaign {names.get(value, value[:SHORT_ID])}"
            case _:
                yield f"{name} {_word(value)}"


def _word(value: Any) -> str:
    match value:
        case None:
            return "none"
        case str():
            return value
        case list():
            return " and ".join(map(_word, value))
        case _:
            return json.dumps(value, separators=(",", ":"))
