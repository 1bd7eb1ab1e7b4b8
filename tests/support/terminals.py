"""Terminals of a given size, by tmux: what a person sees on them, and the keys that they press."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_PATIENCE_S = 120.0


def require_tmux() -> None:
    """Skip a test where tmux is missing; in CI, fail."""
    if shutil.which("tmux"):
        return
    if os.environ.get("CI"):
        pytest.fail("tmux is not installed")
    pytest.skip("tmux is not installed")


class Terminals:
    """Programs, each on a terminal. Use it as a context manager.

    Args:
        directory: the directory for tmux's socket, and the programs' working directory.
        environment: the environment of the programs.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._environment = {**environment, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        self._tmux_s = ["tmux", "-S", str(directory / "tmux"), "-f", "/dev/null"]

    def open(self, name: str, columns: int, lines: int, command: Sequence[str], **variables: str) -> Terminal:
        """Run a program on a new terminal. After its end, the terminal shows its exit code."""
        environment = [f"{key}={value}" for key, value in variables.items()]
        words = ["env", *environment, "sh", "-c", 'trap : INT; "$@"; echo "exit code $?"; sleep 600', "sh", *command]
        self._tmux("new-session", "-d", "-s", name, "-x", str(columns), "-y", str(lines), *words)
        return Terminal(name, self._tmux)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([*self._tmux_s, "kill-server"], check=False, capture_output=True)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux_s, *arguments],
            env=self._environment,
            cwd=self._directory,
            check=True,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        return done.stdout


class Terminal:
    """One terminal."""

    def __init__(self, name: str, tmux: Callable[..., str]) -> None:
        self._name = name
        self._tmux = tmux

    def screen(self) -> list[str]:
        """Return the lines that are visible now, without spaces at their ends."""
        return [line.rstrip() for line in self._tmux("capture-pane", "-p", "-t", self._name).splitlines()]

    def press(self, *keys: str) -> None:
        """Press keys, in tmux's notation."""
        self._tmux("send-keys", "-t", self._name, *keys)

    def until(self, pattern: str) -> list[str]:
        """Wait until a regular expression matches the screen, and return the screen."""
        give_up = time.monotonic() + _PATIENCE_S
        while not re.search(pattern, "\n".join(screen := self.screen())):
            assert time.monotonic() < give_up, "\n".join(screen)
            time.sleep(0.1)
        return screen
