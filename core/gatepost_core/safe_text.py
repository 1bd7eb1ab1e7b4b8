"""A text of somebody else's as it may be shown: what would steer a terminal, or hide in it, stands there as its escape."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

# Control characters (C0, DEL, C1), half pairs, line separators, what turns the direction of writing, and what has no width at all: an
# escape sequence, or a text that reads otherwise than it is. Not U+200C and U+200D: Persian, Hindi and emoji are written with them.
_UNSHOWN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
# Of a log's fields, those that may have lines.
_OF_LINES: Final = frozenset({"event", "exception"})


def visible(text: str) -> str:
    r"""Return a text on one line, each character that is not shown as its escape: `\x1b`, `\n`, `\u202e`."""
    return _UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def visible_lines(text: str) -> str:
    """Return a text that may have lines likewise; its line ends stay."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(document: Mapping[str, Any]) -> str:
    """Return a JSON object on one line, each character that is not shown as JSON's own escape: the values are exactly the same."""
    return _UNSHOWN.sub(lambda found: json.dumps(found[0])[1:-1], json.dumps(document, ensure_ascii=False))


def visible_fields(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Make the texts of a log's line visible. A structlog processor, for what is read on a terminal."""
    return {
        name: value if not isinstance(value, str) else visible_lines(value) if name in _OF_LINES else visible(value)
        for name, value in event.items()
    }


def require_shown(text: str) -> None:
    """Make sure that a name can be shown as it is.

    Raises:
        ValueError: it has a character that is not shown.
    """
    if found := _UNSHOWN.search(text):
        raise ValueError(f"has a control character or an invisible one ({visible(found[0])}); leave it out")
