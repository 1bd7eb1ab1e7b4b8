"""Process signals of the worker, whose threads cannot be stopped from outside, and of the scheduler that `--beat` starts in it.

| signal | effect |
|---|---|
| TERM, first INT | take no more messages, finish the calls under way, exit |
| QUIT, second INT | exit at once; messages return to their queues, calls under way become `unknown` |
| HUP | as TERM, then start again with the same command; on a terminal, only exit |
| USR1 | log every thread's stack |
| USR2 | none |
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

import structlog
from celery import platforms, signals
from celery.apps.beat import Beat
from celery.apps.worker import Worker
from celery.platforms import EX_FAILURE, EX_OK
from celery.worker import state

from gatepost_worker.celery_guard.printed_text import log_soon

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.stdlib.get_logger("gatepost.worker")
# Celery's hints lack the two attributes used here.
_state: Any = state
_PARENT_CHECK_S: Final = 0.5


class GatepostWorker(Worker):
    """Celery's worker program with the signals above."""

    def install_platform_tweaks(self, worker: Any) -> None:
        """Install Celery's handlers, then replace those that do not fit."""
        super().install_platform_tweaks(worker)
        platforms.signals["SIGINT"] = self._interrupt
        platforms.signals["SIGQUIT"] = self._quit
        platforms.signals["SIGHUP"] = self._hang_up
        # Its default would end the process, and Celery can open a debugger with it.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)

    def terminate(self, in_sighandler: bool = False) -> NoReturn:  # noqa: FBT001, FBT002 - Celery's signature
        """Return the messages to their queues and exit without waiting for the threads."""
        super().terminate(in_sighandler)
        _log.info("worker.stopped", finished=False)
        logging.shutdown()
        # Python's own exit joins the threads, which takes as long as the longest call.
        os._exit(EX_FAILURE)

    def _interrupt(self, *_: Any) -> None:
        platforms.signals["SIGINT"] = self._quit
        self._end("SIGINT", "Warm", "finishing the calls under way; Ctrl-C again exits at once")
        _state.should_stop = EX_FAILURE

    def _quit(self, *_: Any) -> None:
        self._end("SIGQUIT", "Cold", "exiting at once; calls under way will be unknown")
        _state.should_terminate = True

    def _hang_up(self, *_: Any) -> None:
        # On a terminal SIGHUP means that it was closed: a restarted worker would run unseen.
        restarts = not sys.stdout.isatty() and not self.app.IS_macOS
        if restarts:
            atexit.unregister(start_again)
            atexit.register(start_again)
        self._end("SIGHUP", "Warm", "finishing the calls under way" + restarts * ", then starting again")
        _state.should_stop = EX_OK

    def _end(self, name: str, how: str, message: str) -> None:
        if sys.stdout.isatty():
            with suppress(OSError):
                # Not print: the signal may have interrupted one.
                os.write(1, f"worker: {name}: {message}\n".encode())
        signals.worker_shutting_down.send(sender=str(self), sig=name, how=how, exitcode=EX_OK)


def beat_class(set_up: Callable[[], None]) -> type[Beat]:
    """Return Celery's scheduler program, with a line in the log for its end.

    Args:
        set_up: called before anything is printed.
    """

    class GatepostBeat(Beat):
        def run(self) -> Any:
            set_up()
            return super().run()

        def start_scheduler(self) -> Any:
            try:
                return super().start_scheduler()
            finally:
                _log.info("beat.stopped")

    return GatepostBeat


def log_shutdown(sig: str, how: str) -> None:
    """Log that a signal ends the worker.

    Args:
        sig: the signal.
        how: `Warm` or `Cold`, Celery's words for finishing the calls under way and for ending at once.
    """
    if how == "Warm":
        log_soon("worker.draining", signal=sig)
    else:
        log_soon("worker.stopping_at_once", signal=sig)


def start_again() -> None:
    """Replace the process with its original command. Celery's own restart runs `python -m celery` by path, which cannot import."""
    platforms.close_open_fds({0, 1, 2})
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line, no shell


def end_with_parent() -> None:
    """End this process, the embedded scheduler, when the worker that started it ends or is killed."""
    parent = os.getppid()
    # Ctrl-C reaches both processes; the worker finishes its calls first and then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="gatepost-parent", daemon=True).start()
