"""Assembles the limiter's Lua: a library for other scripts, and one short script for each call."""

from __future__ import annotations

import math
import struct
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gatepost_worker.limiter.permits import LimiterSettings

_SETTINGS: Final = struct.Struct("<4d")
_EXPORTED: Final = "limiter_acquire, limiter_observe, limiter_clear, limiter_describe, limiter_now_us"

# KEYS: the limiter's key, then the ceiling's key if there is one. ARGV[1]: the time in microseconds; empty for Redis's clock.
_NOW: Final = "tonumber(ARGV[1]) or limiter_now_us()"
_SCRIPTS: Final = {
    # Takes the lane, the number of permits wanted, settings, readings and the ceiling's rate as ARGV[2] to ARGV[6].
    "acquire": f"""local now = {_NOW}
return {{ limiter_acquire(KEYS[1], now, ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], KEYS[2], tonumber(ARGV[6])) }}""",
    # Takes the readings as ARGV[2].
    "observe": f"limiter_observe(KEYS[1], {_NOW}, ARGV[2]) return 1",
    # Returns the microseconds that were left of the block.
    "clear": f"return string.format('%.0f', limiter_clear(KEYS[1], {_NOW}))",
    "describe": f"return limiter_describe(KEYS[1], {_NOW}) or {{}}",
}


@cache
def lua_library() -> str:
    """Return Lua text that defines the limiter's functions as locals, to place in front of another script.

    Returns:
        The source of `limiter_acquire`, `limiter_observe`, `limiter_clear`, `limiter_describe` and `limiter_now_us`.
    """
    # The block hides all other names: Lua pays for each name that a function can reach whenever the script runs.
    parts = "\n".join(_read(name) for name in ("state.lua", "observer.lua", "rule.lua"))
    return f"local {_EXPORTED}\ndo\nlocal max, min = math.max, math.min\n{parts}\nend"


@cache
def lua_script(call: str) -> str:
    """Return the complete script of one call: `acquire`, `observe`, `clear` or `describe`."""
    return f"{lua_library()}\n{_SCRIPTS[call]}"


def pack_settings(settings: LimiterSettings) -> bytes:
    """Return the settings in the form that the scripts read: little-endian doubles, NaN for no maximum rate."""
    max_rate = math.nan if settings.max_rate is None else settings.max_rate
    return _SETTINGS.pack(settings.reserve_share, settings.fallback_rate, max_rate, settings.cold_permits)


def _read(name: str) -> str:
    return files("gatepost_worker.limiter").joinpath(name).read_text(encoding="utf-8")
