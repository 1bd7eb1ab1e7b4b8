"""Limit the depth of foreign JSON."""

from __future__ import annotations

from typing import Any


def within_levels(value: Any, most: int) -> bool:
    """Return whether JSON has at most this many levels. Python reads deeper values than it can copy and write."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most > 0 and all(within_levels(one, most - 1) for one in inner)
