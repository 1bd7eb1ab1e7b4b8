"""Campaign commands against a real Valkey; no worker runs, so nothing leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


Run = "Callable[..., tuple[int, Any]]"


@pytest.fixture(autouse=True)
def _configured(configured: None) -> None:
    """The environment leads to the test's Valkey and a tenant that does not exist."""


@pytest.fixture
def people(tmp_path: Path) -> Callable[..., str]:
    """Write a file of people, and of bad rows if asked."""

    def write(count: int = 3, *, first: int = 0, bad: int = 0, name: str = "people.csv") -> str:
        rows = [f"person{number}@example.com,de" for number in range(first, first + count)]
        rows += ["absent,de"] * bad
        Path(tmp_path / name).write_text("\n".join(["email,language", *rows, ""]), encoding="utf-8")
        return name

    return write
