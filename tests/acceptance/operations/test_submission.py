"""Commands from systems in other languages: raw envelopes pushed to the broker, as a foreign client writes them."""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import errors as e
from gatepost.dead_letters import DeadLetters
from gatepost.messages import SUBMIT, Queue
from gatepost.sealing import Keyring, Purpose
from stack import SEALING_KEY

if TYPE_CHECKING:
    from gatepost import Producer
    from stack import Stack


def push(stack: Stack, kwargs: dict[str, Any], *, task: str = SUBMIT, body: Any = None, **headers: Any) -> str:
    """Write the smallest envelope a worker accepts, and return the task's id."""
    task_id = str(uuid.uuid4())
    payload = [[], kwargs, {}] if body is None else body
    envelope = {
        "body": base64.b64encode(json.dumps(payload).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {key: value for key, value in {"task": task, "id": task_id, **headers}.items() if value is not None},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": Queue.SEND.value},
        },
    }
    with stack.redis() as client:
        client.lpush(Queue.SEND.value, json.dumps(envelope))
    return task_id


def submitted(producer: Producer, task_id: str) -> Any:
    return producer.app.AsyncResult(task_id).get(timeout=30)


@pytest.mark.parametrize("form", ["object", "text", "sealed"])
def test_a_foreign_command_is_recorded_and_carried_out(running: Stack, producer: Producer, form: str) -> None:
    """As a JSON object, as its text, or sealed; the result names the operation."""
    recipient = f"guest-{uuid.uuid4().hex}@example.com"
    document: dict[str, Any] = {"kind": "send_email", "email": recipient, "send": "code", "language": "fr"}
    text = json.dumps(document)
    forms = {
        "object": document,
        "text": text,
        "sealed": Keyring([SEALING_KEY]).seal(text.encode(), Purpose.submission()),
    }

    operation_id = submitted(producer, push(running, {"command": forms[form]}))["operation_id"]

    producer.handle(operation_id).result(30)
    assert running.simulator.control.count(recipient) == 1


def test_an_idempotency_key_makes_a_repeated_submission_one_operation(running: Stack, producer: Producer) -> None:
    """A foreign client that is not sure whether its push arrived pushes again."""
    recipient = f"guest-{uuid.uuid4().hex}@example.com"
    kwargs = {"command": {"kind": "send_email", "email": recipient}, "idempotency_key": uuid.uuid4().hex}

    first, second = (submitted(producer, push(running, kwargs))["operation_id"] for _ in range(2))
    producer.handle(first).result(30)

    assert first == second
    assert running.simulator.control.count(recipient) == 1


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ({"kind": "send_email", "email": "nobody"}, "email: is not an e-mail address"),
        ({"kind": "dance"}, "kind must be one of"),
        ({}, "kind"),
        ([1, 2], "must be a JSON object"),
        ("{not json", "is not JSON"),
        ("eyJhbGciOiJkaXIifQ..a.b.c", "does not open"),
        (None, "must be a JSON object"),
    ],
    ids=["bad-email", "bad-kind", "empty", "list", "bad-json", "bad-jwe", "null"],
)
def test_a_bad_command_is_a_typed_error_and_not_a_lost_message(
    running: Stack, producer: Producer, command: Any, says: str
) -> None:
    """The submitter learns which field is wrong."""
    with pytest.raises(e.InvalidCommand, match=says):
        submitted(producer, push(running, {"command": command}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": None}, "the header id is missing"),
        ({"id": 7}, "the header id is missing"),
        ({"body": "nothing"}, "the body is not"),
        ({"kwargs": {"command": {}, "version": 99}}, "version"),
        ({"task": "gatepost.send_email", "kwargs": {"email": "a@example.com"}}, "the arguments are not operation_id"),
        ({"task": "gatepost.send_email", "kwargs": {"operation_id": "x"}}, "not a UUID"),
        ({"task": "celery.map"}, "there is no such task here"),
        ({"body": [[], {"command": {}}, {"callbacks": [{"task": "gatepost.reconcile"}]}]}, "carries callbacks"),
        ({"compression": "zlib"}, "the body is compressed"),
    ],
    ids=[
        *("no-id", "id-no-text", "body-no-list", "version", "arguments", "operation-id"),
        *("task-of-celery", "callback", "compressed"),
    ],
)
def test_a_malformed_message_goes_to_the_dead_letters_and_the_worker_goes_on(
    running: Stack, producer: Producer, changes: dict[str, Any], says: str
) -> None:
    """Stock Celery would reconnect in a loop, or lose it."""
    with running.redis() as client:
        letters = DeadLetters(client, Keyring([SEALING_KEY]))
        before = len(letters)
        push(running, changes.pop("kwargs", {"command": {}}), **changes)
        running.until(lambda: len(letters) == before + 1, "the message is in the dead letters")
        newest = letters.list(1)[0]

    assert says in newest.reason
    assert producer.send_email(f"guest-{uuid.uuid4().hex}@example.com").result(30)


ENVELOPES = {
    "not-json": "{",
    "not-text": b"\xff\xfe\x00",
    "list": "[]",
    "number": "7",
    "empty-object": "{}",
    "no-delivery-tag": json.dumps({"body": "", "headers": {}, "properties": {"delivery_info": {}}}),
    "no-delivery-info": json.dumps({"body": "", "headers": {}, "properties": {"delivery_tag": "x"}}),
    "body-object": json.dumps(
        {
            "body": {},
            "headers": {},
            "properties": {"delivery_tag": "x", "delivery_info": {"exchange": "", "routing_key": "q"}},
        }
    ),
    "deep": "[" * 100_000,
    "deep-headers": json.dumps(
        {
            "body": "",
            "headers": {"x": json.loads("[" * 500 + "]" * 500)},
            "properties": {"delivery_tag": "x", "delivery_info": {"exchange": "", "routing_key": "q"}},
        }
    ),
    "body-no-base64": json.dumps(
        {
            "body": "A",
            "properties": {
                "delivery_tag": "x",
                "delivery_info": {"exchange": "", "routing_key": "q"},
                "body_encoding": "base64",
            },
        }
    ),
    "huge": json.dumps({"body": "x" * 2_000_000}),
    "forged-type": json.dumps({"__type__": "decimal", "__value__": "x"}),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_kombu_cannot_read_goes_to_the_dead_letters(running: Stack, producer: Producer, name: str) -> None:
    """The consumer goes on, and nothing of the envelope is readable in Redis."""
    with running.redis() as client:
        letters = DeadLetters(client, Keyring([SEALING_KEY]))
        before = len(letters)
        client.lpush(Queue.SEND.value, ENVELOPES[name])
        running.until(lambda: len(letters) == before + 1, "the envelope is in the dead letters")
        newest = letters.list(1)[0]

    assert newest.reason.startswith("the envelope")
    assert newest.queue == Queue.SEND.value
    assert "raw" in letters.open(newest)
    assert producer.send_email(f"guest-{uuid.uuid4().hex}@example.com").result(30)


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "gatepost.nothing"},
        {"task": None},
        {"task": 7},
        {"eta": "tomorrow"},
        {"eta": {}},
        {"expires": []},
        {"timelimit": "x"},
        {"retries": "many"},
        {"root_id": {}},
        {"group": []},
        {"stamped_headers": 7},
        {"body": {}},
        {"body": [[], {"command": {}}, "x"]},
    ],
    ids=str,
)
def test_no_header_stops_the_consumer(running: Stack, producer: Producer, changes: dict[str, Any]) -> None:
    """Whatever a foreign client writes there, the next message is carried out, by the same connection."""
    before = running.programs[0].output().count("Connection to broker lost")
    push(running, {"command": {}}, **changes)

    assert producer.send_email(f"guest-{uuid.uuid4().hex}@example.com").result(30)
    assert running.programs[0].output().count("Connection to broker lost") == before
    assert running.programs[0].process.poll() is None
