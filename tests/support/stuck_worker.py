"""A worker whose consumer's loop stops turning when a file appears, as it would in a library that never returns."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery import bootsteps

from gatepost_worker.celery import app


class Stuck(bootsteps.StartStopStep):
    """Blocks the loop while the file is there."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:  # noqa: ARG002 - Celery's signature
        file = Path(os.environ["STUCK_WORKER_FILE"])

        def block() -> None:
            while file.exists():
                time.sleep(0.05)

        hub.timer.call_repeatedly(0.1, block)


app.steps["consumer"].add(Stuck)
