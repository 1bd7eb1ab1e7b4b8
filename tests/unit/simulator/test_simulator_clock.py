"""The simulated time."""

from __future__ import annotations

import time

import pytest

from gatepost_simulator.clock import Clock


def test_starts_as_the_wall_clock() -> None:
    """Untouched, it tells real time."""
    assert Clock().now() == pytest.approx(time.time(), abs=5)


def test_advances_without_waiting() -> None:
    """An hour passes at once."""
    clock = Clock()
    clock.advance(3600)

    assert clock.now() == pytest.approx(time.time() + 3600, abs=5)
    assert clock.offset_s == 3600


def test_a_frozen_clock_does_not_move() -> None:
    """Frozen, only advance moves it; thawed, it continues from there."""
    clock = Clock()
    clock.freeze()
    before = clock.now()
    clock.advance(100)
    frozen = clock.now()
    clock.thaw()

    assert frozen == before + 100
    assert clock.now() >= frozen
    assert not clock.frozen


def test_resets_to_the_wall_clock() -> None:
    """A reset undoes every move."""
    clock = Clock()
    clock.advance(1_000_000)
    clock.freeze()
    clock.reset()

    assert clock.now() == pytest.approx(time.time(), abs=5)
