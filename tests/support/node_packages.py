"""Official npm packages for the acceptance tests: installed once into pytest's cache, and what to do where there is no node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_INSTALL_S = 120
_RUN_S = 60


def installed(directory: Path, package: str, version: str) -> Path:
    """Give a directory in which a script can import the package, at exactly this version."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        _cannot_run("node and npm are not installed")
    manifest = directory / "node_modules" / package / "package.json"
    if not manifest.is_file() or json.loads(manifest.read_text())["version"] != version:
        command = [
            "npm",
            "install",
            "--no-save",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
            f"{package}@{version}",
        ]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
        if done.returncode != 0:
            _cannot_run(f"npm could not install {package}@{version}: {done.stderr[-500:]}")
    return directory


def run_script(directory: Path, script: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run a script where its package is installed, and give the JSON object that it prints."""
    copied = directory / script.name
    shutil.copyfile(script, copied)
    done = subprocess.run(
        ["node", str(copied)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=_RUN_S,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{script.name} failed:\n{done.stderr[-3000:]}")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _cannot_run(reason: str) -> NoReturn:
    """A missing tool is a failure with CI=true, and a reason to skip elsewhere."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)
