"""Programs that run together: signals reach all of them, and when one ends, all do."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORWARDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
"""The signals that are passed on."""
_OF_A_SIGNAL: Final = 128


def run_together(programs: Sequence[tuple[Sequence[str], Mapping[str, str]]]) -> int:
    """Run programs until one ends, ask the others to finish, and return the exit code of the first.

    Each program has its own session, so that Ctrl-C reaches it once, through this process.

    Args:
        programs: the command line and the environment of each.
    """
    running: list[subprocess.Popen[bytes]] = []
    passed_on: list[int] = []

    def forward(number: int, _frame: Any = None) -> None:
        passed_on.append(number)
        for process in running:
            if process.poll() is None:
                process.send_signal(number)

    for number in FORWARDED:
        signal.signal(number, forward)
    for command, environment in programs:
        running.append(
            subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                list(command), env=dict(environment), stdin=subprocess.DEVNULL, start_new_session=True
            )
        )
    first = _first_to_end(running)
    if not passed_on:
        # A second signal would make a Celery worker drop its calls.
        forward(signal.SIGTERM)
    for process in running:
        process.wait()
    return first.returncode if first.returncode >= 0 else _OF_A_SIGNAL - first.returncode


def _first_to_end(running: Sequence[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    by_pid = {process.pid: process for process in running}
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        if ended is not None and ended.si_pid in by_pid:
            by_pid[ended.si_pid].wait()
            return by_pid[ended.si_pid]
