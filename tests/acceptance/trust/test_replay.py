"""A message that no worker could take is replayed, and carried out once."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from gatepost_core.dead_letters import Selection
from gatepost_operations.maintenance.dead_letters import DeadLetterControl

if TYPE_CHECKING:
    from support.stack import Stack


def test_a_replayed_command_is_carried_out_once(running: Stack) -> None:
    """As after an upgrade: the worker of before did not know the task."""
    address = f"guest-{uuid.uuid4().hex}@example.com"
    task_id = str(uuid.uuid4())
    command = {"kind": "send_email", "email": address}
    kept = {
        "headers": {"id": task_id, "task": "gatepost.submit"},
        "properties": {"body_encoding": "base64", "delivery_tag": "old"},
        "body": json.dumps([[], {"command": command}, {}]),
        "content_type": "application/json",
        "content_encoding": "utf-8",
    }
    with DeadLetterControl(running.settings) as control:
        letter_id = control.letters.add(kept, reason="there is no such task here", queue="gatepost.send")
        first = control.replay(Selection(ids=frozenset({letter_id})))
        second = control.replay(Selection(ids=frozenset({letter_id})))

    assert (first.replayed, second.replayed) == (1, 0)
    assert running.simulator.control.latest_code(address, wait_s=30)
    with running.producer() as producer:
        assert producer.app.AsyncResult(task_id).get(timeout=120)["operation_id"]
    assert running.simulator.control.count(address) == 1
