"""The campaigns' Lua: parts that are put together into scripts, here and in the worker."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from gatepost_core.campaigns.wire_format import lua_constants

if TYPE_CHECKING:
    from gatepost_core.redis.keys import RedisKeys

SERVER_CLOCK: Final = "local now_us = (function() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end)()\n"
"""The text in front of every script that says what time it is: microseconds, by the server's clock."""


@cache
def part(name: str) -> str:
    """Return one part's text."""
    return files("gatepost_core.campaigns").joinpath(f"{name}.lua").read_text(encoding="utf-8")


def library(keys: RedisKeys, clock: str = SERVER_CLOCK) -> str:
    """Return what every script on a campaign begins with: clock, names, constants, index, rows."""
    return clock + keys.lua + lua_constants() + part("index") + part("rows")


def starting(text: str) -> str:
    """Return a script that Redis refuses while its memory is full: nothing new may start then."""
    return "#!lua\n" + text


def ending(text: str) -> str:
    """Return a script that runs even then: what is under way must still be settled."""
    return "#!lua flags=allow-oom\n" + text
