"""The content of a dead letter: the whole message if it can be searched for a person, otherwise the message without its body.

An erasure must find a person in every dead letter. So a body is not stored if it is compressed, in another encoding or not JSON.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final

_NOTE: Final = "not stored: it cannot be searched for a person"
# Characters, all of them ASCII, within the limit of sealing.
_LONGEST: Final = 4 << 20
_NAMES_AN_ENCODING: Final = re.compile(r"compression|content[-_]encoding", re.IGNORECASE)
_PLAIN_ENCODINGS: Final = frozenset({"", "utf-8", "utf8", "ascii", "us-ascii", "binary", "identity"})
# The first bytes of gzip, bzip2, xz, LZMA, Zstandard, LZ4 and zlib, as base64.
_PACKED: Final = re.compile(
    r"(?<![A-Za-z0-9+/_-])(?:H4sI|Qlpo|[/_]Td6WFo|XQAA|KLUv|BCJNG|eA[E-H]|eF[4-7]|eJ[w-z]|eN[o-r])[A-Za-z0-9+/_-]{8,}"
)


def contents_of(message: dict[str, Any]) -> bytes:
    """Return a message as JSON for sealing. It accepts anything, because a worker must be able to drop every message.

    Args:
        message: `headers`, `properties`, `body`, `content_type` and `content_encoding`, or `raw`, an envelope that cannot be read.
    """
    for kept in (message, _without_body(message)):
        if (text := _searchable(kept)) is not None:
            return text.encode()
    return json.dumps({"raw": "", "note": _NOTE}).encode()


def _without_body(message: dict[str, Any]) -> dict[str, Any]:
    return {"raw": "", "note": _NOTE} if "raw" in message else {**message, "body": "", "note": _NOTE}


def _searchable(message: dict[str, Any]) -> str | None:
    """Return a message as JSON, or None when it cannot be written or searched."""
    try:
        text = json.dumps(message, default=str)
        return text if len(text) <= _LONGEST and _can_be_searched(message, text) else None
    except (ValueError, TypeError, RecursionError):
        return None


def _can_be_searched(message: dict[str, Any], text: str) -> bool:
    if _PACKED.search(text):
        return False
    if message.get("note") == _NOTE:
        return True
    if "raw" not in message:
        return _has_json_body(message)
    try:
        envelope = json.loads(message["raw"])
    except (ValueError, RecursionError):
        # Searched as plain text.
        return bool(message["raw"].encode())
    return not isinstance(envelope, dict) or _has_json_body(envelope)


def _has_json_body(message: dict[str, Any]) -> bool:
    headers = message.get("headers")
    for named in (message, headers if isinstance(headers, dict) else {}):
        for name, value in named.items():
            if _NAMES_AN_ENCODING.fullmatch(str(name)) and str(value or "").lower() not in _PLAIN_ENCODINGS:
                return False
    body = message.get("body")
    return body is None or _is_json(body) or _is_json(_decoded(body))


def _decoded(body: Any) -> str:
    # kombu writes bodies on a Redis list as base64.
    return base64.b64decode(body).decode() if isinstance(body, str) else ""


def _is_json(body: Any) -> bool:
    if not isinstance(body, str):
        return True
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return bool(body.encode()) and not _PACKED.search(body)
