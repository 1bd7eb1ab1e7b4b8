"""Recipients as campaigns and the suppression list know them: normalised, and in pages."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from gatepost_core.identifiers import normalise_email, normalise_phone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")


def normalised(recipient: str) -> str:
    """Return an address or number in the form that files are read in.

    Raises:
        ValueError: it is neither; the message never repeats it.
    """
    return normalise_email(recipient) if "@" in recipient else normalise_phone(recipient)


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Give the items in lists of `size`; the last may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
