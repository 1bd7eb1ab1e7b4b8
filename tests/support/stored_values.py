"""Everything that was ever stored in Redis, key by key and field by field, and the list of it in the documentation."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PAGE: Final = CHECKOUT / "docs" / "reference" / "stored-data.md"
_ROW: Final = re.compile(r"\| (?P<keys>`[^|]+) \| (?P<fields>[^|]*)\| (?P<protection>[a-z]+) \| [^|]+ \|")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(x[0-9a-f]{2}|.)")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b"}
_PLACES: Final = {
    "ID": r"[0-9a-fA-F-]{36}",
    "N": r"\d+",
    "DIGEST": r"[0-9a-f]{32}",
    "PREFIX": r"[0-9a-f]{3}",
    "FINGERPRINT": r"(?:[0-9a-f]{16}|.{8})",
    "WORD": r"[a-z][a-z0-9_-]*",
    "TENANT": r"[a-z0-9_-]*",
    "ANY": r".+",
}
_PLACE: Final = re.compile(rf"\b(?:{'|'.join(_PLACES)})\b")
# The field's name follows the key, then perhaps more pairs; members of sets, lists and sorted sets have no name.
_HASHES: Final = frozenset({"hset", "hmset", "hsetnx", "hincrby", "hincrbyfloat"})
_STRINGS: Final = frozenset({"set", "setex", "psetex", "getset", "incr", "incrby"})
_MEMBERS: Final = frozenset({"zadd", "sadd", "lpush", "rpush", "zincrby"})


@dataclass(frozen=True, slots=True)
class Written:
    """One value that was written.

    Attributes:
        field: the hash's field, or a member of a JSON value as `options.rate`; empty for a value without a name.
        value: each character is a byte.
    """

    key: str
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One field of the page's list."""

    key: str
    field: str
    protection: str

    def fits(self, written: Written) -> bool:
        """Whether it lists this value."""
        return bool(_pattern(self.key).fullmatch(written.key) and _pattern(self.field).fullmatch(written.field))


@cache
def listed() -> list[Listed]:
    """Return what the page of stored data lists."""
    return [
        Listed(key, field, row["protection"])
        for row in _ROW.finditer(_PAGE.read_text(encoding="utf-8"))
        for key in re.findall(r"`([^`]+)`", row["keys"])
        for field in re.findall(r"`([^`]+)`", row["fields"]) or [""]
    ]


def unlisted(written: Iterable[Written]) -> set[tuple[str, str]]:
    """Return the keys and fields that the page does not list, with ID for every UUID."""
    known = listed()
    return {(_UUID.sub("ID", one.key), one.field) for one in written if not any(line.fits(one) for line in known)}


def written_in(recording: str) -> Iterator[Written]:
    """Read what MONITOR showed, commands of scripts included."""
    for line in recording.splitlines():
        command, *arguments = map(_unescaped, _QUOTED.findall(line)) if '] "' in line else [""]
        match command.lower():
            case name if name in _HASHES:
                key, *pairs = arguments
                for field, value in zip(pairs[::2], pairs[1::2], strict=True):
                    yield from _with_members(Written(key, field, value))
            case name if name in _STRINGS:
                yield from _with_members(Written(arguments[0], "", arguments[-1] if name != "set" else arguments[1]))
            case name if name in _MEMBERS:
                yield from _with_members(Written(arguments[0], "", arguments[-1]))
            case "xadd":
                pairs = arguments[arguments.index("*") + 1 :]
                for field, value in zip(pairs[::2], pairs[1::2], strict=True):
                    yield Written(arguments[0], field, value)
            case _:
                continue


def _with_members(written: Written) -> Iterator[Written]:
    """Give a value, and the members of the JSON objects that Gatepost's own readers take apart."""
    if written.field == "options":
        yield written
    elif written.key == "gatepost:api_keys":
        # The field is the key's id.
        written = Written(written.key, "", written.value)
    elif written.key != "gatepost:audit" and not written.key.startswith("celery-task-meta-"):
        yield written
        return
    document: Any = json.loads(written.value.encode("latin-1"))
    for name, value in document.items():
        field = f"{written.field}.{name}" if written.field else name
        yield Written(written.key, field, value if isinstance(value, str) else json.dumps(value))


@cache
def _pattern(text: str) -> re.Pattern[str]:
    quoted = re.escape(text)
    return re.compile(_PLACE.sub(lambda place: _PLACES[place[0]], quoted), re.DOTALL)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _one(found[1]), text)


def _one(escape: str) -> str:
    return chr(int(escape[1:], 16)) if escape[0] == "x" and len(escape) > 1 else _ESCAPES.get(escape, escape)
