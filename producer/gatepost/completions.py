"""The outcomes of many operations, in the order in which they end."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from gatepost.handles import AsyncHandle, Handle
from gatepost_core.errors import GatepostError, NotFinished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from gatepost.waits import Answer
    from gatepost_core.outcomes import Outcome

H = TypeVar("H", Handle, AsyncHandle)


class Completion(NamedTuple, Generic[H]):
    """What became of one operation of many.

    Attributes:
        handle: the operation's handle.
        outcome: its final outcome; None with an error.
        error: why there is no outcome: `OperationNotFound`, `Unavailable` or `ProducerClosed`; None if there is one.
    """

    handle: H
    outcome: Outcome | None
    error: GatepostError | None


class Completions(Generic[H]):
    """An iterable of `Completion`: with `for` over handles, and with `async for` over handles of an `AsyncProducer`."""

    def __init__(self, handles: Iterable[H], timeout: float | None) -> None:
        self._handles: list[H] = list(handles)
        self._ends_at = None if timeout is None else time.monotonic() + timeout

    def __iter__(self) -> Iterator[Completion[H]]:
        answers: SimpleQueue[tuple[H, Answer]] = SimpleQueue()
        with ExitStack() as waits:
            for handle in self._handles:
                waits.enter_context(handle.waiting(partial(_put, answers, handle)))
            for _ in self._handles:
                try:
                    yield _completion(*answers.get(timeout=self._left()))
                except Empty:
                    raise NotFinished from None

    async def __aiter__(self) -> AsyncIterator[Completion[H]]:
        loop = asyncio.get_running_loop()
        answers: asyncio.Queue[tuple[H, Answer]] = asyncio.Queue()
        with ExitStack() as waits:
            for handle in self._handles:
                waits.enter_context(handle.waiting(partial(_put_in_loop, loop, answers, handle)))
            for _ in self._handles:
                try:
                    async with asyncio.timeout(self._left()):
                        ended = await answers.get()
                except TimeoutError:
                    raise NotFinished from None
                yield _completion(*ended)

    def _left(self) -> float | None:
        return None if self._ends_at is None else max(self._ends_at - time.monotonic(), 0.0)


def as_completed(handles: Iterable[H], timeout: float | None = None) -> Completions[H]:
    """Wait for many operations, and give the outcome of each as it ends.

    All of them share one subscription and one thread. An operation whose record is gone gives its error; the other operations are not affected.

    Args:
        handles: the operations' handles: of a `Producer` for `for`, or of an `AsyncProducer` for `async for`.
        timeout: seconds for all of them together; without it, there is no limit.

    Returns:
        An iterable of `Completion`, which raises `NotFinished` if some have not ended in time. These operations continue.
    """
    return Completions(handles, timeout)


def _completion(handle: H, answer: Answer) -> Completion[H]:
    if isinstance(answer, GatepostError):
        return Completion(handle, None, answer)
    return Completion(handle, answer, None)


def _put(answers: SimpleQueue[tuple[H, Answer]], handle: H, answer: Answer) -> None:
    answers.put((handle, answer))


def _put_in_loop(
    loop: asyncio.AbstractEventLoop, answers: asyncio.Queue[tuple[H, Answer]], handle: H, answer: Answer
) -> None:
    # A closed loop means that nothing waits.
    if not loop.is_closed():
        loop.call_soon_threadsafe(answers.put_nowait, (handle, answer))
