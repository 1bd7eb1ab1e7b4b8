"""Text that does not show itself."""

from __future__ import annotations

from typing import Final

MASK: Final = "***"


class Masked:
    """Text that may hold a token or a person's address: `reveal()` gives it, printing does not."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text in clear. The caller decides where it may go."""
        return self._text

    def __repr__(self) -> str:
        return f"Masked({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Masked) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)
