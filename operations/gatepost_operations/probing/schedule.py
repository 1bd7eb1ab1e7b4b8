"""Runs the probe again and again, in fixed intervals."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def repeat(
    run: Callable[[], object],
    every_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Run now, and then at every multiple of the interval, until `run` or `sleep` raises. A run that takes longer skips what it missed.

    Args:
        run: one run.
        every_s: the interval, in seconds.
        clock: the monotonic clock, in seconds.
        sleep: waits for some seconds.
    """
    began = clock()
    while True:
        run()
        passed = clock() - began
        sleep(every_s - passed % every_s)
