"""The HTTP exchange under way in this thread: its deadline, and whether its write has begun."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Exchange:
    """One request and its response. The transport opens it; the connection and its socket read and mark it.

    Attributes:
        deadline: the end of the exchange, on the monotonic clock.
        tracked: whether the connection marks the write. Connections of other adapters do not.
        write_began_at: when the first byte of the request may have left, on the monotonic clock; None before.
    """

    deadline: float
    tracked: bool = False
    write_began_at: float | None = None

    @property
    def surely_not_sent(self) -> bool:
        """Whether it is certain that no byte of the request has left."""
        return self.tracked and self.write_began_at is None

    @property
    def surely_began(self) -> bool:
        """Whether it is certain that the write has begun."""
        return self.write_began_at is not None

    def remaining(self) -> float:
        """Return the seconds left, zero or less after the deadline."""
        return self.deadline - time.monotonic()


_CURRENT: ContextVar[Exchange | None] = ContextVar("gatepost_exchange", default=None)


def current_exchange() -> Exchange | None:
    """Return this thread's exchange. A custom adapter can limit its waits by `remaining()`."""
    return _CURRENT.get()


@contextmanager
def open_exchange(deadline: float) -> Iterator[Exchange]:
    """Open an exchange for this thread.

    Args:
        deadline: its end, on the monotonic clock.
    """
    opened = Exchange(deadline)
    token = _CURRENT.set(opened)
    try:
        yield opened
    finally:
        _CURRENT.reset(token)
