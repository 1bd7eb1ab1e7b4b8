"""A host application that has its own Celery app, tasks and logging, and uses Gatepost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.stack import Stack

_HOST = Path(__file__).with_name("host_application.py")


@pytest.fixture
def host(stack: Stack) -> Stack:
    """A stack in whose directory the host's module lies."""
    (stack.directory / "host_application.py").write_text(_HOST.read_text(encoding="utf-8"), encoding="utf-8")
    stack.environment["HOST_BROKER_URL"] = stack.valkey.url
    return stack
