"""Starts `python -m …` without a fresh interpreter: in a fork of a process that has loaded the modules already.

Most of the time of a worker's start is the import of its modules. The fork server holds no settings, connections or threads.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# What a worker and its scheduler load; none of it does anything when it is imported. `gatepost_worker.celery` builds the app and is not here.
_LOADED = (
    "celery.bin.celery",
    "celery.apps.worker",
    "celery.apps.beat",
    "celery.concurrency.thread",
    "celery.worker.consumer.consumer",
    "celery.backends.redis",
    "kombu.transport.redis",
    "kombu.transport.pyamqp",
    "gatepost_worker.tasks",
    "gatepost_worker.celery_guard.consumer",
    "gatepost_worker.celery_guard.process_signals",
    "gatepost_worker.celery_guard.redis_outages",
    "gatepost_worker.celery_guard.remote_control",
    "gatepost_worker.celery_guard.transport_guard",
    "gatepost_worker.upkeep.start_checks",
)
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(list(_LOADED))


class WarmProcess:
    """A program in a fork, with the methods of `subprocess.Popen` that tests use.

    Args:
        command: `-m`, the module and its arguments.
        directory: the working directory.
        environment: the whole environment.
        log: the file that takes all output.
    """

    def __init__(self, command: Sequence[str], directory: Path, environment: Mapping[str, str], log: Path) -> None:
        given = (list(command), str(directory), dict(environment), str(log))
        self._process = _SERVER.Process(target=_become, args=given)
        self._process.start()
        # Its session is there before anything is sent to it.
        with contextlib.suppress(ProcessLookupError):
            while self.poll() is None and os.getpgid(self.pid) != self.pid:
                time.sleep(0.002)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def _become(command: list[str], directory: str, environment: dict[str, str], log: str) -> None:
    os.setsid()
    for flags, target, numbers in ((os.O_RDONLY, os.devnull, (0,)), (os.O_WRONLY | os.O_CREAT, log, (1, 2))):
        opened = os.open(target, flags, 0o600)
        for number in numbers:
            os.dup2(opened, number)
        os.close(opened)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [directory, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    _, module, *arguments = command
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
