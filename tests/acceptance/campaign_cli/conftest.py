"""Campaign commands as processes, against real workers and the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.campaign_terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.stack import Stack


@pytest.fixture
def terminal(stack: Stack, tmp_path: Path) -> Terminal:
    """A shell next to a stack in which no worker runs yet."""
    return Terminal(stack, tmp_path)


@pytest.fixture
def working(stack: Stack, terminal: Terminal) -> Terminal:
    """A shell next to a worker that takes campaigns, and the schedule."""
    stack.worker("gatepost.bulk")
    stack.beat()
    return terminal


@pytest.fixture
def sent(stack: Stack) -> Callable[[], dict[str, int]]:
    """How many people got how many messages, as the simulator counts."""
    return lambda: {str(times): people for times, people in stack.simulator.control.counts()["histogram"].items()}
