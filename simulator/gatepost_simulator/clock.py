"""The simulator's time: the wall clock plus an offset that tests move, so that nothing has to sleep to expire."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Real time, shifted by `advance` and stopped by `freeze`.

    Every rule of the simulator (expiry, buckets, assertions, blocks) reads time here and nowhere else.
    """

    def __init__(self) -> None:
        self._epoch = time.time() - time.monotonic()
        self._offset = 0.0
        self._frozen_at: float | None = None

    def now(self) -> float:
        """Give the simulated time in seconds since the Unix epoch."""
        if self._frozen_at is not None:
            return self._frozen_at
        return self._epoch + time.monotonic() + self._offset

    @property
    def offset_s(self) -> float:
        """How far `advance` has moved the clock, in seconds."""
        return self._offset

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return self._frozen_at is not None

    def advance(self, seconds: float) -> None:
        """Move the clock forward by so many seconds, frozen or not."""
        self._offset += seconds
        if self._frozen_at is not None:
            self._frozen_at += seconds

    def freeze(self) -> None:
        """Stop the clock where it is; `advance` still moves it."""
        self._frozen_at = self.now()

    def thaw(self) -> None:
        """Let the clock run on from where it stands."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - self._epoch - time.monotonic()
            self._frozen_at = None

    def reset(self) -> None:
        """Return to the wall clock."""
        self._offset = 0.0
        self._frozen_at = None

    async def sleep(self, seconds: float) -> None:
        """Wait in real time: a delayed answer must really be late for the client that waits for it."""
        await asyncio.sleep(seconds)
