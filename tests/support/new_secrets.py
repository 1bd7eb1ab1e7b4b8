"""Runs deploy/new-secrets, with keys of the Gatepost that is installed here."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path


def new_secrets(directory: Path) -> subprocess.CompletedProcess[str]:
    """Write the files of secrets that a directory lacks."""
    keys = [sys.executable, "-m", "gatepost_operations.cli", "keys", "new"]
    return subprocess.run(
        [CHECKOUT / "deploy" / "new-secrets", directory, *keys], capture_output=True, text=True, check=True
    )
