"""Reads items in chunks. If the items end with an error, the items before it come first."""

from __future__ import annotations

from collections.abc import AsyncIterable
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from gatepost_core.error_boundary import async_items_of_caller, items_of_caller
from gatepost_core.errors import InvalidCommand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

T = TypeVar("T")


class UntilError(Generic[T]):
    """Yields items up to the first error. The error is raised later, after the items before it were stored."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[T]:
        try:
            yield from self._items
        except Exception as error:  # noqa: BLE001 - `raise_error` raises it
            self._error = error

    def raise_error(self, stored: str = "") -> None:
        """Raise the error that ended the items, if there was one.

        Args:
            stored: the outcome of the items before it, for the message about an invalid item.
        """
        if stored and isinstance(self._error, InvalidCommand):
            raise InvalidCommand([(one.field, f"{one.problem}; {stored}") for one in self._error.problems])
        if self._error is not None:
            raise self._error


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items; the last one may be shorter. An error of the items is raised after the items before it."""
    valid = UntilError(items)
    iterator = iter(valid)
    while chunk := list(islice(iterator, size)):
        yield chunk
    valid.raise_error()


async def async_in_chunks(items: Iterable[T] | AsyncIterable[T], size: int) -> AsyncIterator[list[T]]:
    """Yield the items of a caller in chunks, as `in_chunks` does."""
    if not isinstance(items, AsyncIterable):
        for chunk in in_chunks(items_of_caller(items), size):
            yield chunk
        return
    listed = async_items_of_caller(items)
    failure = None
    while failure is None:
        chunk, failure = await _read_chunk(listed, size)
        if chunk:
            yield chunk
        if len(chunk) < size and failure is None:
            return
    raise failure


async def _read_chunk(items: AsyncIterator[T], size: int) -> tuple[list[T], Exception | None]:
    chunk: list[T] = []
    try:
        while len(chunk) < size:
            chunk.append(await anext(items))
    except StopAsyncIteration:
        pass
    except Exception as error:  # noqa: BLE001 - raised after the items before it
        return chunk, error
    return chunk, None
