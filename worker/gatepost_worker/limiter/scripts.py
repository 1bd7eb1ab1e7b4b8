"""The limiter's Lua: the core that other scripts may carry, and the entries that call it alone."""

from __future__ import annotations

import math
import struct
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost_worker.limiter.quota import LimiterSettings

_SETTINGS = struct.Struct("<4d")
_CALLS = "limiter_acquire, limiter_observe, limiter_clear, limiter_describe, limiter_now_us"


@cache
def core_source() -> str:
    """Lua text of plain local functions, to stand in front of a larger script's own text.

    Returns:
        The source of `limiter_acquire`, `limiter_observe`, `limiter_clear`, `limiter_describe` and `limiter_now_us`.
    """
    # Few names in reach of many functions: Lua pays for each such pair whenever the script runs.
    parts = "\n".join(_read(name) for name in ("state.lua", "observer.lua", "rule.lua"))
    return f"local {_CALLS}\ndo\nlocal max, min = math.max, math.min\n{parts}\nend"


@cache
def entry_source(operation: str) -> str:
    """A whole script: the core and one entry that calls it.

    Args:
        operation: `acquire`, `observe`, `clear` or `describe`.

    Returns:
        The script's text.
    """
    return f"{core_source()}\n{_read(f'{operation}.lua')}"


def pack_settings(settings: LimiterSettings) -> bytes:
    """Put the settings into the form that the limiter's script reads.

    Args:
        settings: What the operator decided.

    Returns:
        Little-endian doubles; NaN stands for "no ceiling".
    """
    max_rate = math.nan if settings.max_rate is None else settings.max_rate
    return _SETTINGS.pack(settings.reserve_share, settings.fallback_rate, max_rate, settings.cold_permits)


def _read(name: str) -> str:
    return files("gatepost_worker.limiter").joinpath(name).read_text(encoding="utf-8")
