"""An operator's shell for tests: `gatepost …` as processes, in a stack's environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from support.stack import Stack


class Terminal:
    """An operator's shell: runs `gatepost …` in the stack's environment."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self.stack = stack
        self.directory = directory
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AUTH0_", "GATEPOST_"))}
        self.environment = {**inherited, **stack.environment, "NO_COLOR": "1"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "gatepost_operations.cli", *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command to its end; return its exit code, stdout and stderr."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def events(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        """Run a command with --json; give its exit code and the objects it printed."""
        code, out, _ = self.run(*arguments, "--json")
        return code, [json.loads(line) for line in out.splitlines()]

    def people(self, *recipients: str, name: str = "people.csv") -> str:
        """Write a file of recipients."""
        (self.directory / name).write_text("\n".join(["recipient", *recipients, ""]), encoding="utf-8")
        return name
