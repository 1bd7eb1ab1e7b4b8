"""How values are stored in Redis: text as UTF-8, times as milliseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def as_text(value: Any) -> str:
    """Return a reply of Redis as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def milliseconds(at: datetime) -> int:
    """Return a time as it is stored."""
    return int(at.timestamp() * 1000)


def moment(stored: str | int) -> datetime:
    """Return the time that `milliseconds` stored, in UTC."""
    return datetime.fromtimestamp(int(stored) / 1000, UTC)
