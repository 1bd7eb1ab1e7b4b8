"""Runs the blocks of one page as its reader would: one Python namespace, one shell, one directory."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.page_output import difference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.markdown_blocks import Block

SHELLS = frozenset({"sh", "bash", "shell", "console"})
_INTERPRETER = Path(__file__).with_name("page_interpreter.py")
# Long, for a slow machine; a page that hangs is found all the same.
_BLOCK_S = 300.0
# Variables and functions live on from one command to the next, as in a reader's terminal.
_IN_ONE_SHELL = r"""
keep() { status=$?; trap - EXIT; unset PAGE_COMMAND PAGE_STATUS; { export -p; declare -f; } > "$PAGE_STATE/shell"; pwd > "$PAGE_STATE/directory"; exit $status; }
trap keep EXIT
if [ -f "$PAGE_STATE/shell" ]; then source "$PAGE_STATE/shell" 2> /dev/null; cd "$(cat "$PAGE_STATE/directory")"; fi
set -a
(exit "${PAGE_STATUS:-0}")
eval "$PAGE_COMMAND"
"""


class PageFailure(AssertionError):
    """A block's result differs from its page."""


@dataclass(frozen=True)
class Command:
    """One command of a console block, and the output the page shows for it."""

    text: str
    wanted: str
    line: int


class PageSession:
    """The reader of one page. Use it as a context manager.

    Args:
        directory: where the blocks run.
        environment: all of their environment.
        newest_code: gives the newest one-time code of an address.
    """

    def __init__(
        self, directory: Path, environment: Mapping[str, str], newest_code: Callable[[str], str] | None = None
    ) -> None:
        self._directory = directory
        self._work = directory / "work"
        self._work.mkdir()
        self._environment = {**environment, "PAGE_STATE": str(directory)}
        self._newest_code = newest_code
        self._interpreter: subprocess.Popen[str] | None = None
        self._groups: list[int] = []
        self._printed = ""

    @property
    def directory(self) -> Path:
        """Where the blocks run."""
        return self._work

    def run(self, block: Block) -> None:
        """Run one block.

        Raises:
            PageFailure: it failed, or printed something else than the page says.
        """
        code = self._with_codes(block, block.code)
        if block.file:
            place = self._work / block.file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(code, encoding="utf-8")
        if block.is_output:
            if unlike := difference(code, self._printed):
                raise PageFailure(f"{block.place}: {unlike}")
        elif block.not_run or (block.file and block.language not in {"python", "pycon"}):
            return
        elif block.language in {"python", "pycon"}:
            self._run_python(block, code)
        elif block.language in SHELLS:
            self._run_shell(block, code, self._with_codes(block, block.input))

    def _with_codes(self, block: Block, text: str) -> str:
        for address, shown in block.codes.items():
            if self._newest_code is None:
                raise PageFailure(f"{block.place}: there is no simulator to take a code from")
            text = text.replace(shown, self._newest_code(address))
        return text

    def _run_python(self, block: Block, code: str) -> None:
        interpreter = self._started_interpreter()
        assert interpreter.stdin is not None
        question = {"code": code, "file": str(block.page), "line": block.line}
        interpreter.stdin.write(json.dumps(question) + "\n")
        interpreter.stdin.flush()
        answer = json.loads(self._answer_of(interpreter, block))
        self._printed = answer["printed"]
        if answer["failure"]:
            raise PageFailure(f"{block.place}:\n{answer['printed']}{answer['failure']}")

    def _answer_of(self, interpreter: subprocess.Popen[str], block: Block) -> str:
        assert interpreter.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(interpreter.stdout, selectors.EVENT_READ)
            line = interpreter.stdout.readline() if selector.select(_BLOCK_S) else ""
        if not line:
            raise PageFailure(
                f"{block.place}: did not end within {_BLOCK_S:.0f} s, or ended the interpreter\n{self._log}"
            )
        return line

    def _started_interpreter(self) -> subprocess.Popen[str]:
        if self._interpreter is None:
            with (self._directory / "interpreter.log").open("w", encoding="utf-8") as log:
                self._interpreter = subprocess.Popen(
                    [sys.executable, str(_INTERPRETER)],
                    cwd=self._work,
                    # The working directory is on the path, as for a reader's own script.
                    env={**self._environment, "PYTHONPATH": str(self._work), "PYTHONSAFEPATH": "1"},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,
                )
            self._groups.append(self._interpreter.pid)
        return self._interpreter

    @property
    def _log(self) -> str:
        return (self._directory / "interpreter.log").read_text(encoding="utf-8", errors="replace")

    def _run_shell(self, block: Block, code: str, given: str) -> None:
        commands = commands_of(code, block.line)
        if not commands:
            self._printed, status = self._shell(f"set -eo pipefail\n{code}", given, 0)
            if status:
                raise PageFailure(f"{block.place}: exit code {status}\n{self._printed}")
            return
        status = 0
        everything = ""
        for number, command in enumerate(commands):
            self._printed, status = self._shell(command.text, given, status)
            everything += self._printed
            place = f"{block.page}:{command.line}: $ {command.text}"
            following = commands[number + 1].text if number + 1 < len(commands) else ""
            if status and following != "echo $?":
                raise PageFailure(f"{place}\nexit code {status}\n{self._printed}")
            if command.wanted.strip() and (unlike := difference(command.wanted, self._printed)):
                raise PageFailure(f"{place}\n{unlike}")
        self._printed = everything

    def _shell(self, command: str, given: str, status: int) -> tuple[str, int]:
        environment = {**self._environment, "PAGE_COMMAND": command, "PAGE_STATUS": str(status)}
        given_file = self._directory / "input"
        given_file.write_text(f"{given}\n" if given else "", encoding="utf-8")
        printed = self._directory / "printed"
        # Files, not pipes: a process that a command leaves running may keep them open.
        with printed.open("wb") as output, given_file.open("rb") as source:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-c", _IN_ONE_SHELL],
                cwd=self._work,
                env=environment,
                stdin=source,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._groups.append(process.pid)
        try:
            code = process.wait(_BLOCK_S)
        except subprocess.TimeoutExpired:
            raise PageFailure(
                f"$ {command}\ndid not end within {_BLOCK_S:.0f} s\n{printed.read_text(encoding='utf-8', errors='replace')}"
            ) from None
        return printed.read_text(encoding="utf-8", errors="replace"), code

    def close(self) -> None:
        """End whatever the page left running."""
        if self._interpreter is not None:
            for stream in (self._interpreter.stdin, self._interpreter.stdout):
                if stream is not None:
                    stream.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._interpreter.wait(10)
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        if self._interpreter is not None:
            self._interpreter.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def commands_of(code: str, line: int) -> list[Command]:
    """Return the commands after `$ ` in a block; nothing for a block that is a script.

    A line that ends with a backslash, and lines behind `> `, continue a command; other lines are its output.
    """
    found: list[tuple[list[str], list[str], int]] = []
    for number, text in enumerate(code.splitlines(), line):
        if text.startswith("$ "):
            found.append(([text[2:]], [], number))
        elif not found:
            return []
        elif not found[-1][1] and (text.startswith("> ") or found[-1][0][-1].endswith("\\")):
            found[-1][0].append(text.removeprefix("> "))
        else:
            found[-1][1].append(text)
    return [Command("\n".join(command), "\n".join(output), number) for command, output, number in found]
