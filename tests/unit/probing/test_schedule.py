"""The probe's schedule: at once, and then in fixed intervals."""

from __future__ import annotations

import pytest

from gatepost_operations.probing.run import repeat


class Stopped(Exception):
    """The test has seen enough."""


def test_runs_begin_at_multiples_of_the_interval() -> None:
    """A run's own duration shifts nothing, and a run that takes too long skips one."""
    now = 100.0
    durations = [10.0, 0.0, 400.0, 1.0]
    began: list[float] = []

    def run() -> None:
        nonlocal now
        if len(began) == len(durations):
            raise Stopped
        began.append(now)
        now += durations[len(began) - 1]

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    with pytest.raises(Stopped):
        repeat(run, 300, clock=lambda: now, sleep=sleep)

    assert began == [100, 400, 700, 1300]
