"""What Celery shows of arguments and results: a constant, on publish and on retry, in headers and in events alike."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.broker.messages import SHOWN_ARGUMENTS
from gatepost_core.kinds import Queue
from support.foreign_client import push
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost import Producer
    from support.stack import Stack


def headers_on_the_broker(stack: Stack) -> list[dict[str, Any]]:
    """Return the headers of every message that waits, or that a worker holds."""
    with stack.redis() as client:
        waiting = [json.loads(one) for one in client.lrange(KEYS.queue(Queue.SEND), 0, -1)]
        held = [json.loads(one)[0] for one in client.hvals("unacked")]
    return [message["headers"] for message in [*waiting, *held]]


def test_a_message_shows_nothing_when_published_and_nothing_when_retried(stack: Stack) -> None:
    """Celery itself drops a redacted representation on retry, and shows the arguments again."""
    stack.simulator.control.script_fault(
        endpoint="/passwordless/start", status=429, error="too_many_requests", headers={"Retry-After": "30"}, count=1
    )
    with stack.producer() as producer:
        handle = producer.send_email("guest@example.com")
        published = headers_on_the_broker(stack)

        worker = stack.worker()
        stack.until(lambda: any(one["retries"] == 1 for one in headers_on_the_broker(stack)), "it is retried", worker)
        retried = headers_on_the_broker(stack)

    for headers in (*published, *retried):
        assert (headers["argsrepr"], headers["kwargsrepr"]) == (SHOWN_ARGUMENTS, SHOWN_ARGUMENTS)
        assert headers["id"] == handle.operation_id


@pytest.fixture
def producer_events(stack: Stack) -> Iterator[list[dict[str, Any]]]:
    """Collect every event that the stack's workers send."""
    events: list[dict[str, Any]] = []
    with stack.producer() as producer, producer.app.connection() as connection:
        receiver = producer.app.events.Receiver(connection, handlers={"*": events.append})
        thread = threading.Thread(target=lambda: receiver.capture(limit=None, timeout=None, wakeup=False), daemon=True)
        thread.start()
        yield events
        receiver.should_stop = True
        thread.join(5)


def test_events_show_neither_arguments_nor_results(stack: Stack, producer_events: list[dict[str, Any]]) -> None:
    """Not even a representation that a foreign producer asks for is shown."""
    worker = stack.worker("gatepost.login,gatepost.send", "--task-events")
    with stack.producer() as producer:
        send_and_log_in(producer, stack)
        command = {"kind": "send_email", "email": "guest@example.com"}
        told = dict.fromkeys(
            ["shadow", "root_id", "parent_id", "group", "origin", "argsrepr", "other"], "guest@example.com"
        )
        with stack.redis() as client:
            submission = push(client, {"command": command}, **told)
        producer.app.AsyncResult(submission).get(timeout=120)
        stack.until(lambda: len(of_type(producer_events, "task-succeeded")) >= 3, "the events have come")

    received, succeeded = of_type(producer_events, "task-received"), of_type(producer_events, "task-succeeded")
    assert {(event["args"], event["kwargs"]) for event in received} == {(SHOWN_ARGUMENTS, SHOWN_ARGUMENTS)}
    assert {event["result"] for event in succeeded} == {", ..."}
    assert "guest@example.com" not in json.dumps(producer_events)
    assert "guest@example.com" not in worker.output()


def send_and_log_in(producer: Producer, stack: Stack) -> None:
    producer.send_email("guest@example.com").result(120)
    code = stack.simulator.control.latest_code("guest@example.com")
    producer.login_with_email("guest@example.com", code).result(120)


def of_type(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event.get("type") == kind]
