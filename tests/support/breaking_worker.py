"""A worker with an unexpected error while it holds personal data: `celery -A support.breaking_worker worker`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from gatepost_core.kinds import Kind
from gatepost_worker.celery import app

if TYPE_CHECKING:
    from gatepost_worker.process import Process


class Breaking:
    """Replaces the runner of operations and the keyring; every call fails."""

    def run(self, operation_id: str) -> None:
        """Fail with a secret among the locals, as a fault in a library would."""
        held = {"operation": operation_id, "address": os.environ["BREAKING_WORKER_HOLDS"]}
        raise RuntimeError(f"broken while holding {len(held)} things")

    def seal(self, value: bytes, purpose: Any) -> str:  # noqa: ARG002 - as below
        """Hold nothing."""
        return "sealed"

    def open(self, sealed: str, purpose: Any) -> bytes:  # noqa: ARG002 - the keyring's signature
        """Fail with a secret among the error's own arguments, as Python's codecs do."""
        raise UnicodeEncodeError("ascii", os.environ["BREAKING_WORKER_HOLDS"], 0, 1, "broken")


task: Any = app.tasks[Kind.SEND_EMAIL.task]
process: Process = task.process
process.__dict__ |= {"runner": Breaking(), "keyring": Breaking()}
