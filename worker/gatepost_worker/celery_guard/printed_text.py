"""Text that Celery prints past the log. With JSON logs it would be the only lines that are not JSON.

Celery prints the banners of worker and beat, the word of a shutdown, and the stacks of all threads after USR1.
"""

from __future__ import annotations

import threading
from typing import Any

import structlog
from celery.apps import beat, worker

_log = structlog.stdlib.get_logger("gatepost.worker")
# Celery's hints lack the name that replaces its own.
_worker: Any = worker
_stacks: Any = _worker.cry


def install() -> None:
    """Write stacks to the log, and drop the rest: the events of `worker` and `beat` say the same."""
    for module in (worker, beat):
        # A module's own name hides the built-in function.
        vars(module)["print"] = _drop
    _worker.safe_say = _drop
    _worker.cry = _log_stacks


def _drop(*_: Any, **__: Any) -> None:
    """Print nothing."""


def log_soon(event: str, **fields: Any) -> None:
    """Log from a signal handler, on another thread: this one may be in the middle of a line."""
    threading.Thread(target=_log.info, args=(event,), kwargs=fields, name="gatepost-log").start()


def _log_stacks(*_: Any, **__: Any) -> str:
    log_soon("worker.stacks", stacks=_stacks())
    return ""
