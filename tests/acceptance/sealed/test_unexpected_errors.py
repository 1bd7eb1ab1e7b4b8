"""An unexpected error shows its place in the code, and no values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import GatepostError
from gatepost_core.broker.messages import SUBMIT
from gatepost_core.broker.publishing import publish
from gatepost_core.kinds import Queue
from support.planted_secrets import Recording, found

if TYPE_CHECKING:
    from support.stack import Stack

TASK = "7a0c1c1e-0000-4000-8000-000000000001"
HELD = "canary-t5n4 914377"
BREAKING = {
    "application": "support.breaking_worker",
    "BREAKING_WORKER_HOLDS": HELD,
    "PYTHONPATH": str(Path(__file__).parents[2]),
}


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_has_no_locals(stack: Stack, log_format: str) -> None:
    """An operation's task fails with an address among its locals; the log names the line."""
    worker = stack.worker(
        **BREAKING,
        GATEPOST_LOG_FORMAT=log_format,
        GATEPOST_LOG_LEVEL="DEBUG",
    )
    with stack.producer() as producer:
        producer.send_email("guest@example.com")
        stack.until(lambda: "operation.failed_unexpectedly" in worker.output(), "it has failed", worker)

    assert "breaking_worker.py" in worker.output()
    assert found([HELD], worker.output()) == []


def test_an_errors_own_arguments_stay_out_of_results_and_events(stack: Stack) -> None:
    """Celery stores an error with its arguments, which may be the very text that could not be read."""
    with Recording(stack.valkey.port) as recording, stack.producer() as producer:
        worker = stack.worker("gatepost.send", "--task-events", **BREAKING)
        publish(producer.app, SUBMIT, Queue.SEND, TASK, {"command": "sealed"})
        with pytest.raises(GatepostError, match="worker's log"):
            producer.app.AsyncResult(TASK).get(timeout=120)
        stack.until(lambda: found(["task-failed"], recording.text()) != [], "the event is out", worker)

    assert "UnicodeEncodeError" in worker.output()
    assert found([HELD], recording.text()) == []
    assert found([HELD], worker.output()) == []
