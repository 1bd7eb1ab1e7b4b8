"""The simulator's time: the wall clock plus an offset that tests set, so that they need not sleep."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Real time, shifted by `advance` and stopped by `freeze`.

    Everything in the simulator that expires or refills uses this clock.
    """

    def __init__(self) -> None:
        self._epoch = time.time() - time.monotonic()
        self._offset = 0.0
        self._frozen_at: float | None = None

    def now(self) -> float:
        """Return the simulated time in seconds since the Unix epoch."""
        if self._frozen_at is not None:
            return self._frozen_at
        return self._epoch + time.monotonic() + self._offset

    @property
    def offset_s(self) -> float:
        """How far `advance` has moved the clock, in seconds."""
        return self._offset

    @property
    def frozen(self) -> bool:
        """Whether the clock is stopped."""
        return self._frozen_at is not None

    def advance(self, seconds: float) -> None:
        """Move the clock forward, frozen or not."""
        self._offset += seconds
        if self._frozen_at is not None:
            self._frozen_at += seconds

    def freeze(self) -> None:
        """Stop the clock; `advance` still moves it."""
        self._frozen_at = self.now()

    def thaw(self) -> None:
        """Restart a stopped clock at its current time."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - self._epoch - time.monotonic()
            self._frozen_at = None

    def reset(self) -> None:
        """Return to the wall clock."""
        self._offset = 0.0
        self._frozen_at = None

    async def sleep(self, seconds: float) -> None:
        """Sleep in real time, so that a delayed answer is late for its client."""
        await asyncio.sleep(seconds)
