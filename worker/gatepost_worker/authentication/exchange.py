"""One HTTP attempt as its sockets see it: when it must end, and whether its write has begun."""

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
    """One attempt. The transport opens it, the connection and its socket read and mark it.

    Attributes:
        deadline: when the attempt must be over, on the monotonic clock.
        tracked: whether the connection that carries it marks the write; a foreign adapter's connections do not.
        write_began_at: when the first byte of the request may have left, on the monotonic clock; None until then.
    """

    deadline: float
    tracked: bool = False
    write_began_at: float | None = None

    @property
    def surely_not_sent(self) -> bool:
        """Whether it is proven that no byte of the request left."""
        return self.tracked and self.write_began_at is None

    @property
    def surely_began(self) -> bool:
        """Whether it is known that the write began."""
        return self.write_began_at is not None

    def remaining(self) -> float:
        """Return the seconds left; zero or less once the deadline has passed."""
        return self.deadline - time.monotonic()


_CURRENT: ContextVar[Exchange | None] = ContextVar("gatepost_exchange", default=None)


def current_exchange() -> Exchange | None:
    """Return the attempt that this thread is carrying out. A transport adapter of your own can bound itself by `remaining()`."""
    return _CURRENT.get()


@contextmanager
def exchange(deadline: float) -> Iterator[Exchange]:
    """Open an attempt for this thread.

    Args:
        deadline: when it must be over, on the monotonic clock.
    """
    opened = Exchange(deadline)
    token = _CURRENT.set(opened)
    try:
        yield opened
    finally:
        _CURRENT.reset(token)
