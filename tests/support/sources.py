"""The source files of the imported packages: those of the checkout, or of the installed wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gatepost
import gatepost_core
import gatepost_operations
import gatepost_worker

PACKAGES: Final = [
    Path(package.__path__[0]) for package in (gatepost_core, gatepost, gatepost_worker, gatepost_operations)
]
"""The packages' folders."""


def sources() -> dict[str, Path]:
    """Return the Python and Lua files by their names, such as `gatepost_core/kinds.py`."""
    return {
        str(path.relative_to(package.parent)): path
        for package in PACKAGES
        for path in package.rglob("*")
        if path.suffix in {".py", ".lua"}
    }
