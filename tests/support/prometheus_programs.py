"""Debian's `prometheus` and `promtool`: those of the machine, or unpacked from the package without an install."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from support.debian_packages import unpacked

if TYPE_CHECKING:
    from pathlib import Path


def program(name: str) -> Path | str:
    """Return the path of a program of the package. Skip the test if Debian's index cannot be reached; in CI, fail."""
    return shutil.which(name) or unpacked("prometheus", "prometheus") / "usr" / "bin" / name
