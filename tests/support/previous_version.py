"""The wheel of the previous version, in an environment for it alone.

Nothing has been released, so the previous version is a named commit. At a release, set `COMMIT` to the tag of the release before.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

import pytest

from support.checkout import CHECKOUT

COMMIT: Final = "18432a60ea9f8fd41f96612d8660ec378b18858e"
"""The newest commit with the same public behaviour as today, or the tag of the previous release."""
_BUILD: Final = CHECKOUT / "build" / "previous"
_S: Final = 300


def previous_python() -> Path:
    """Return the interpreter of an environment with the previous wheel; the first call makes it, in `build/previous`.

    The environment takes the libraries of this one, and Gatepost from its own wheel. Without the commit, the test is skipped.
    """
    here = _BUILD / f"{COMMIT[:12]}-{sys.version_info.major}.{sys.version_info.minor}"
    python = here / "bin" / "python"
    if not (here / "ready").exists():
        shutil.rmtree(here, ignore_errors=True)
        source = _sources(_BUILD / "sources")
        venv.create(here, with_pip=False)
        _run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(here / "wheel"), str(source))
        libraries = Path(sysconfig.get_path("purelib", vars={"base": str(here)}))
        shutil.unpack_archive(next((here / "wheel").glob("*.whl")), libraries, "zip")
        # A plain line adds a folder without its own .pth files, so the editable Gatepost of this environment stays out.
        (libraries / "libraries.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
        (here / "ready").touch()
    return python


def _sources(target: Path) -> Path:
    archive = subprocess.run(["git", "archive", COMMIT], cwd=CHECKOUT, capture_output=True, check=False, timeout=_S)
    if archive.returncode:
        pytest.skip(f"the history has no commit {COMMIT[:12]}, from which the previous wheel is built")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    subprocess.run(["tar", "-x"], cwd=target, input=archive.stdout, check=True, timeout=_S)
    return target


def _run(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, check=True, timeout=_S, env=environment, capture_output=True)
