"""The clients of a worker with one tenant, whose credential does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class OneClient:
    """Gives the same client for every tenant."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def of(self, _tenant: str) -> Any:
        """The client."""
        return self.client

    def require_allowed(self, _tenant: str, headers: Iterable[str]) -> None:
        """Every header is allowed."""

    def accepted(self, _tenant: str, used: Any) -> None:
        """Nothing depends on it."""

    def after_refusal(self, _tenant: str, used: Any) -> None:
        """There is no other credential."""
