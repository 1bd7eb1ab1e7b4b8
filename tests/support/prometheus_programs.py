"""Debian's `prometheus` and `promtool`: those of the machine, or unpacked from the package without an install."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

_UNPACKED = CHECKOUT / "build" / "prometheus"


def program(name: str) -> Path | str:
    """Return the path of a program of the package. Skip the test if Debian's index cannot be reached; in CI, fail."""
    found = shutil.which(name)
    if found:
        return found
    path = _UNPACKED / "usr" / "bin" / name
    if not path.exists():
        problem = _unpack()
        if problem and not os.environ.get("CI"):
            pytest.skip(f"Debian's package prometheus cannot be fetched: {problem}")
        assert not problem, problem
    return path


def _unpack() -> str:
    """Fetch and unpack the package; return why that failed, or nothing."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get"
    _UNPACKED.mkdir(parents=True, exist_ok=True)
    commands = [["apt-get", "download", "prometheus"], ["sh", "-c", "dpkg -x prometheus_*.deb ."]]
    if os.geteuid() == 0:
        commands.insert(0, ["apt-get", "update", "--quiet", "--quiet"])
    for command in commands:
        done = subprocess.run(command, cwd=_UNPACKED, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            return f"{' '.join(command)}: {done.stderr.strip()[-200:]}"
    return ""
