"""Where the checkout is, or the copy of its tests and documents beside an installed wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
