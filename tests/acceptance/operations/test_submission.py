"""Commands from systems in other languages: raw envelopes pushed to the broker, as a foreign client writes them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import errors as e
from gatepost_core.dead_letters import DeadLetters, Selection
from gatepost_core.kinds import Queue
from gatepost_core.sealing import Key, Keyring, Purpose
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from support import foreign_client
from support.keys import KEYS
from support.sealing_keys import SEALING_KEY

if TYPE_CHECKING:
    from gatepost import Producer
    from support.stack import Stack


def push(stack: Stack, kwargs: dict[str, Any], **changes: Any) -> str:
    with stack.redis() as client:
        return foreign_client.push(client, kwargs, **changes)


def submitted(producer: Producer, task_id: str) -> Any:
    return producer.app.AsyncResult(task_id).get(timeout=120)


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

    producer.handle(operation_id).result(120)
    assert running.simulator.control.count(recipient) == 1


def test_an_idempotency_key_makes_a_repeated_submission_one_operation(running: Stack, producer: Producer) -> None:
    """A foreign client that is not sure whether its push arrived pushes again."""
    recipient = f"guest-{uuid.uuid4().hex}@example.com"
    kwargs = {"command": {"kind": "send_email", "email": recipient}, "idempotency_key": uuid.uuid4().hex}

    first, second = (submitted(producer, push(running, kwargs))["operation_id"] for _ in range(2))
    producer.handle(first).result(120)

    assert first == second
    assert running.simulator.control.count(recipient) == 1


def test_a_submission_that_comes_twice_is_one_operation(running: Stack, producer: Producer) -> None:
    """Queues deliver at least once; the task's id names the operation where no idempotency key does."""
    recipient = f"guest-{uuid.uuid4().hex}@example.com"
    kwargs = {"command": {"kind": "send_email", "email": recipient}}

    task_id = push(running, kwargs)
    first = submitted(producer, task_id)["operation_id"]
    push(running, kwargs, id=task_id)
    producer.handle(first).result(120)
    # A later message was carried out, so the copy was processed too.
    last = push(running, {"command": {"kind": "send_email", "email": f"guest-{uuid.uuid4().hex}@example.com"}})
    producer.handle(submitted(producer, last)["operation_id"]).result(120)

    assert running.simulator.control.count(recipient) == 1


def test_a_submission_past_its_expires_is_answered_as_revoked(running: Stack, producer: Producer) -> None:
    """The sender gets an answer, and nothing is recorded or sent."""
    recipient = f"guest-{uuid.uuid4().hex}@example.com"
    task_id = push(
        running, {"command": {"kind": "send_email", "email": recipient}}, expires="2026-01-01T00:00:00+00:00"
    )
    with running.redis() as client:
        answer = f"celery-task-meta-{task_id}"
        running.until(lambda: bool(client.exists(answer)), "the submission is answered")
        document = json.loads(client.get(answer))

    assert document["status"] == "REVOKED"
    assert running.simulator.control.count(recipient) == 0


def test_one_tasks_id_for_two_commands_is_refused(running: Stack, producer: Producer) -> None:
    """A client that gives every message the same id gets an error; its messages are not taken for repetitions."""
    task_id = push(running, {"command": {"kind": "send_email", "email": f"guest-{uuid.uuid4().hex}@example.com"}})
    submitted(producer, task_id)
    producer.app.AsyncResult(task_id).forget()

    push(running, {"command": {"kind": "send_email", "email": f"guest-{uuid.uuid4().hex}@example.com"}}, id=task_id)
    # Celery's client has perhaps not read yet that the first one was ready, and would take it for the second.
    with running.producer() as another, pytest.raises(e.IdempotencyConflict):
        submitted(another, task_id)


@pytest.mark.parametrize("sealed_as", ["unknown-key", "another-purpose", "no-seal"])
def test_a_command_that_does_not_open_is_answered_and_kept(running: Stack, producer: Producer, sealed_as: str) -> None:
    """The submitter learns it, and a replay keeps the letter for the same reason."""
    recipient = f"guest-{uuid.uuid4().hex}@example.com"
    text = json.dumps({"kind": "send_email", "email": recipient})
    command, says = {
        "unknown-key": (Keyring([Key.new("k9")]).seal(text.encode(), Purpose.submission()), "names key k9"),
        "another-purpose": (Keyring([SEALING_KEY]).seal(text.encode(), Purpose.rows("x", 1)), "moved from another"),
        "no-seal": (f"please write to {recipient}", "does not open"),
    }[sealed_as]

    task_id = push(running, {"command": command})
    with pytest.raises(e.InvalidCommand, match=says):
        submitted(producer, task_id)

    with DeadLetterControl(running.settings) as control:
        newest = control.letters.list(1)[0]
        assert says in newest.reason
        kept = control.reveal(newest)
        assert (kept["headers"]["id"], json.loads(kept["body"])[1]["command"]) == (task_id, command)
        would = control.rehearse(Selection(ids=frozenset({newest.id})))
        assert (would.replayed, list(would.refused)) == (0, [newest.reason])


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ({"kind": "send_email", "email": "absent"}, "email: is not an e-mail address"),
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
        ({"callbacks": [{"task": "anything.at.all"}]}, "carries callbacks"),
        ({"task": []}, "not of Celery's protocol 1 or 2"),
        ({"eta": "2099-01-01T00:00:00"}, "the eta is too far away"),
        ({"eta": "0001-01-01T00:00:00+14:00"}, "the eta is"),
        ({"kwargs": {"command": {}, "ana@example.com": 1}}, "the arguments are not command"),
        (
            {"kwargs": {"command": {"max_age": {"__type__": "decimal", "__value__": "1E+1000000000"}}}},
            "values that JSON does not have",
        ),
    ],
    ids=[
        *("no-id", "id-no-text", "body-no-list", "version", "arguments", "operation-id"),
        *("task-of-celery", "callback", "compressed", "callback-in-headers", "task-no-text"),
        *("eta-far-away", "eta-before-time", "foreign-argument", "endless-number"),
    ],
)
def test_a_malformed_message_goes_to_the_dead_letters_and_the_worker_goes_on(
    running: Stack, producer: Producer, changes: dict[str, Any], says: str
) -> None:
    """Stock Celery would reconnect in a loop, or lose it."""
    with running.redis() as client:
        letters = DeadLetters(client, KEYS, Keyring([SEALING_KEY]))
        before = len(letters)
        push(running, changes.pop("kwargs", {"command": {}}), **changes)
        running.until(lambda: len(letters) == before + 1, "the message is in the dead letters")
        newest = letters.list(1)[0]

    assert says in newest.reason
    assert producer.send_email(f"guest-{uuid.uuid4().hex}@example.com").result(120)


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
    "longer-when-kept": b"\xff" * (1 << 20),
    "half-a-pair-as-tag": json.dumps(
        {
            "body": "",
            "headers": {},
            "properties": {"delivery_tag": "\ud800", "delivery_info": {"exchange": "", "routing_key": "q"}},
        }
    ),
    "a-codec-that-unpacks": json.dumps(
        {
            "body": "",
            "headers": {},
            "content-type": "application/data",
            "content-encoding": "bz2",
            "properties": {"delivery_tag": "x", "delivery_info": {"exchange": "", "routing_key": "q"}},
        }
    ),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_kombu_cannot_read_goes_to_the_dead_letters(running: Stack, producer: Producer, name: str) -> None:
    """The consumer continues, and no part of the envelope is readable in Redis."""
    with running.redis() as client:
        letters = DeadLetters(client, KEYS, Keyring([SEALING_KEY]))
        before = len(letters)
        client.lpush(KEYS.queue(Queue.SEND), ENVELOPES[name])
        running.until(lambda: len(letters) == before + 1, "the envelope is in the dead letters")
        newest = letters.list(1)[0]

    assert newest.reason.startswith("the envelope")
    assert newest.queue == KEYS.queue(Queue.SEND)
    assert "raw" in letters.open(newest)
    assert producer.send_email(f"guest-{uuid.uuid4().hex}@example.com").result(120)


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
    """Whatever a foreign client writes there is answered or kept, and the next message is carried out by the same connection."""
    before = running.programs[0].output().count("Connection to broker lost")
    with running.redis() as client:
        letters = DeadLetters(client, KEYS, Keyring([SEALING_KEY]))
        kept = len(letters)
        task_id = push(running, {"command": {}}, **changes)
        answer = f"celery-task-meta-{task_id}"
        running.until(lambda: bool(len(letters) > kept or client.exists(answer)), "it is kept or answered")

    assert producer.send_email(f"guest-{uuid.uuid4().hex}@example.com").result(120)
    assert running.programs[0].output().count("Connection to broker lost") == before
    assert running.programs[0].process.poll() is None


@pytest.mark.parametrize("field", ["phone_number", "email", "connection", "realm", "authParams"])
def test_extra_names_no_other_recipient(running: Stack, producer: Producer, field: str) -> None:
    """The recipient that is shown, counted and erased is the one that gets the message."""
    command = {"kind": "send_email", "email": "guest@example.com", "extra": {field: "+34600000077"}}
    with pytest.raises(e.InvalidCommand, match=f"extra must not hold {field}"):
        submitted(producer, push(running, {"command": command}))
