"""The worker as a program: what its signals do on a pool of threads, which cannot be ended from outside.

| signal | what happens |
|---|---|
| TERM, first INT | takes nothing more, finishes the calls under way, ends |
| QUIT, second INT | ends at once; messages go back, calls under way are later found to be `unknown` |
| HUP | as TERM, then starts again by the same command; on a terminal it only ends |
| USR1 | prints where every thread is |
| USR2 | nothing |
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

from celery import platforms, signals
from celery.apps.worker import Worker
from celery.platforms import EX_FAILURE, EX_OK
from celery.utils import sysinfo
from celery.worker import state

# Celery's hints lack what is used of these.
_state: Any = state
_sysinfo: Any = sysinfo


class GatepostWorker(Worker):
    """Celery's worker program with the signals above."""

    def install_platform_tweaks(self, worker: Any) -> None:
        """Install Celery's handlers, and ours over those that do not fit."""
        super().install_platform_tweaks(worker)
        platforms.signals["SIGINT"] = self._interrupt
        platforms.signals["SIGQUIT"] = self._quit
        platforms.signals["SIGHUP"] = self._hang_up
        # Its default would end the process, and Celery can open a debugger with it.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)

    def terminate(self, in_sighandler: bool = False) -> NoReturn:  # noqa: FBT001, FBT002 - Celery's signature
        """Give the messages back and end, without waiting for the threads."""
        super().terminate(in_sighandler)
        logging.shutdown()
        # Python's own exit joins them, which takes as long as the longest call.
        os._exit(EX_FAILURE)

    def _interrupt(self, *_: Any) -> None:
        platforms.signals["SIGINT"] = self._quit
        self._end("SIGINT", "Warm", "finishing the calls under way; Ctrl-C again ends at once")
        _state.should_stop = EX_FAILURE

    def _quit(self, *_: Any) -> None:
        self._end("SIGQUIT", "Cold", "ending at once; calls under way will be unknown")
        _state.should_terminate = True

    def _hang_up(self, *_: Any) -> None:
        # The terminal was closed: in the background the worker would go on unseen.
        restarts = not sys.stdout.isatty() and not self.app.IS_macOS
        if restarts:
            atexit.unregister(start_again)
            atexit.register(start_again)
        self._end("SIGHUP", "Warm", "finishing the calls under way" + restarts * ", then starting again")
        _state.should_stop = EX_OK

    def _end(self, name: str, how: str, said: str) -> None:
        with suppress(OSError):
            # Not print, which may be under way where the signal came.
            os.write(1, f"worker: {name}: {said}\n".encode())
        signals.worker_shutting_down.send(sender=str(self), sig=name, how=how, exitcode=EX_OK)


def start_again() -> None:
    """Replace the process by the command that started it. Celery's own runs `python -m celery` by its path, which cannot import."""
    platforms.close_open_fds({0, 1, 2})
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line, no shell


def slots_of(worker: Any) -> int:
    """Return how many calls a worker makes at once. Celery itself resolves `--concurrency auto` later."""
    if _sysinfo.is_auto_concurrency(worker.concurrency):
        return int(_sysinfo.cpu_budget(use_cgroup_quota=False).count)
    return int(worker.concurrency)
