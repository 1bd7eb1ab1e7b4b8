"""Programs of Debian packages, unpacked without an install."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path


def unpacked(name: str, *packages: str) -> Path:
    """Return the directory with the files of packages. Skip the test if Debian's index cannot be reached; in CI, fail.

    Args:
        name: the directory's name below `build`.
        packages: the packages. Their dependencies are not fetched.
    """
    directory = CHECKOUT / "build" / name
    if not (directory / "usr").exists():
        problem = _unpack(directory, packages)
        if problem and not os.environ.get("CI"):
            pytest.skip(f"Debian's package {packages[0]} cannot be fetched: {problem}")
        assert not problem, problem
    return directory


def _unpack(directory: Path, packages: tuple[str, ...]) -> str:
    """Fetch and unpack packages; return why that failed, or nothing."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get"
    directory.mkdir(parents=True, exist_ok=True)
    commands = [["apt-get", "download", *packages], ["sh", "-c", 'for deb in *.deb; do dpkg -x "$deb" .; done']]
    if os.geteuid() == 0:
        commands.insert(0, ["apt-get", "update", "--quiet", "--quiet"])
    for command in commands:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            return f"{' '.join(command)}: {done.stderr.strip()[-200:]}"
    return ""
