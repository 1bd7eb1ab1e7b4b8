"""A worker with sentry-sdk and its defaults, and rich's tracebacks with locals in its log: `celery -A support.tracked_worker worker`.

Something in it can be made to break: `TRACKED_WORKER_BREAKS` names it, and `TRACKED_WORKER_HOLDS` the error's text.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sentry_sdk
from celery import signals
from rich.console import Console
from rich.logging import RichHandler
from sentry_sdk.transport import Transport

from gatepost_core.broker.messages import SUBMIT
from gatepost_core.kinds import Kind
from gatepost_worker.celery import app

if TYPE_CHECKING:
    from sentry_sdk.envelope import Envelope

    from gatepost_worker.process import Process


class Writing(Transport):
    """Writes the events into a file in place of sending them."""

    def capture_envelope(self, envelope: Envelope) -> None:
        event = envelope.get_event()
        if event is not None:
            with Path("sentry.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(event, default=str) + "\n")


sentry_sdk.init("https://key@127.0.0.1/1", transport=Writing(), send_default_pii=bool(os.environ.get("TRACKED_PII")))


@signals.celeryd_after_setup.connect(weak=False)
def log_with_rich(**_: Any) -> None:
    console = Console(file=Path("rich.log").open("a", encoding="utf-8"), width=10_000)  # noqa: SIM115 - for the process's life
    logging.getLogger().addHandler(
        RichHandler(console=console, rich_tracebacks=True, tracebacks_show_locals=True, locals_max_string=None)
    )


class Breaking:
    """Fails on every call, while the caller's frames hold their values."""

    def __init__(self, error: type[BaseException]) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def broken(*_: Any, **__: Any) -> Any:
            raise self._error(os.environ.get("TRACKED_WORKER_HOLDS", ""))

        return broken


process: Process = app.tasks[Kind.SEND_EMAIL.task].process  # type: ignore[attr-defined, arg-type] # a task's own attribute
match os.environ.get("TRACKED_WORKER_BREAKS"):
    case "clients":
        process.__dict__["clients"] = Breaking(KeyError)
    case "ledger":
        process.__dict__["ledger"] = Breaking(LookupError)
    case _:
        pass

__all__ = ["SUBMIT", "app"]
