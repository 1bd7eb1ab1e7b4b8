"""Installs each peer into an environment under `build/bench`, from pinned versions."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from comparison.contenders import Peer

PEERS_DIRECTORY: Final = Path(__file__).parents[1] / "peers"
BUILD: Final = Path(__file__).parents[2] / "build" / "bench"


def missing_installer(peer: Peer) -> str | None:
    """Return which program is missing to install or run a peer, if any."""
    if peer.requirements is not None:
        return None
    return next((f"{name} is not installed" for name in ("node", "npm") if not shutil.which(name)), None)


def interpreter(peer: Peer) -> Path:
    """Return the program that runs a peer's scripts, after installing missing packages."""
    if peer.requirements is None:
        source = (PEERS_DIRECTORY / "bullmq" / "package.json").read_bytes()
        _once(BUILD / "bullmq", source, _install_with_npm)
        return Path(str(shutil.which("node")))
    pinned = PEERS_DIRECTORY / f"{peer.requirements}.txt"
    directory = BUILD / peer.requirements
    _once(directory, pinned.read_bytes(), lambda path: _install_with_uv(path, pinned))
    return directory / "bin" / "python"


def working_directory(peer: Peer) -> Path:
    """Return the directory of a peer's scripts."""
    return PEERS_DIRECTORY if peer.requirements is not None else BUILD / "bullmq"


def _once(directory: Path, source: bytes, install: Callable[[Path], None]) -> None:
    """Install unless the directory was made from the same source."""
    mark, digest = directory / ".ready", hashlib.sha256(source).hexdigest()
    if mark.exists() and mark.read_text(encoding="utf-8") == digest:
        return
    print(f"Installing {directory.name} (once) ...", flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    install(directory)
    mark.write_text(digest, encoding="utf-8")


def _install_with_uv(directory: Path, pinned: Path) -> None:
    """Install with uv, or with pip if uv cannot reach the index that pip is configured for."""
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    python = directory / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    wanted = ["--quiet", "--require-hashes", "-r", str(pinned)]
    if uv.exists() and subprocess.run([uv, "pip", "install", "--python", python, *wanted], check=False).returncode == 0:
        return
    subprocess.run([python, "-m", "pip", "install", "--disable-pip-version-check", *wanted], check=True)


def _install_with_npm(directory: Path) -> None:
    shutil.copytree(PEERS_DIRECTORY / "bullmq", directory, dirs_exist_ok=True)
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=directory, check=True, env={**os.environ, "NODE_ENV": "production"})
