"""Limit the depth of foreign JSON."""

from __future__ import annotations

from typing import Any


def within_levels(value: Any, most: int) -> bool:
    """Return whether JSON has at most this many levels. Python reads deeper values than it can copy and write."""
    level = [value]
    for _ in range(most):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        if not inner:
            return True
        level = inner
    return False
