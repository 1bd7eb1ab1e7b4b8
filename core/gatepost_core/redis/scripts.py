"""The beginnings of Lua scripts: their clock, and what they do while Redis's memory is full."""

from __future__ import annotations

from typing import Final

SERVER_CLOCK: Final = "local now_us = (function() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end)()\n"
"""Lua that defines the time: microseconds since the epoch, by the server's clock."""


def starting(text: str) -> str:
    """Return a script that Redis refuses while its memory is full, so that nothing new starts."""
    return "#!lua\n" + text


def ending(text: str) -> str:
    """Return a script that also runs while Redis's memory is full: work under way must still end."""
    return "#!lua flags=allow-oom\n" + text
