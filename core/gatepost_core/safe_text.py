"""Untrusted text made safe to show: control and invisible characters become escapes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

# Control characters (C0, DEL, C1), half surrogate pairs, line separators, and characters that change the writing direction or have no
# width. Not U+200C and U+200D: Persian, Hindi and emoji need them.
_UNSHOWN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
# Fields of a log line that may have several lines.
_OF_LINES: Final = frozenset({"event", "exception"})


def visible(text: str) -> str:
    r"""Return a text on one line, with escapes for control and invisible characters: `\x1b`, `\n`, `\u202e`."""
    return _UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def visible_lines(text: str) -> str:
    """Return a text of several lines, with escapes in each line."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(document: Mapping[str, Any]) -> str:
    """Return a JSON object on one line, with JSON's own escapes. Its values stay the same."""
    return _UNSHOWN.sub(lambda found: json.dumps(found[0])[1:-1], json.dumps(document, ensure_ascii=False))


def visible_fields(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Escape the texts of a log line: a structlog processor for logs on a terminal."""
    return {
        name: value if not isinstance(value, str) else visible_lines(value) if name in _OF_LINES else visible(value)
        for name, value in event.items()
    }


def require_shown(text: str) -> None:
    """Check that a name needs no escapes.

    Raises:
        ValueError: it has a control or invisible character.
    """
    if found := _UNSHOWN.search(text):
        raise ValueError(f"has a control character or an invisible one ({visible(found[0])}); leave it out")
