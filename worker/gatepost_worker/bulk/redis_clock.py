"""Redis's time, for a while after it was read: this machine's own clock may be wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class RedisClock:
    """What Redis's clock shows, carried on by the clock that only goes forward; nobody has to ask again."""

    def __init__(self, now: datetime, monotonic: Callable[[], float]) -> None:
        """Begin.

        Args:
            now: Redis's time, as it was read just now.
            monotonic: seconds that only go forward.
        """
        self._read = now
        self._monotonic = monotonic
        self._at = monotonic()

    def __call__(self) -> datetime:
        """Return the time."""
        return self._read + timedelta(seconds=self._monotonic() - self._at)
