"""One page of a long list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Sequence

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a long list.

    Attributes:
        items: its items.
        number: its number, from 1 on.
        total: the number of items in the whole list.
        size: most items on a page.
    """

    items: Sequence[Item]
    number: int
    total: int
    size: int

    @classmethod
    def of(cls, items: Sequence[Item], number: int, *, size: int) -> Page[Item]:
        """Return a page of a list; the last one if there are fewer pages."""
        number = max(1, min(number, -(-len(items) // size)))
        return cls(items[(number - 1) * size : number * size], number, len(items), size)

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.total // self.size))

    @property
    def range_text(self) -> str:
        """`51 to 100 of 1,000`."""
        first = (self.number - 1) * self.size
        return f"{first + 1:,} to {first + len(self.items):,} of {self.total:,}" if self.items else "none"

    def link(self, number: int, **query: object) -> str:
        """Return the query of another page of the list."""
        return "?" + urlencode({name: str(value) for name, value in {**query, "page": number}.items() if value})
