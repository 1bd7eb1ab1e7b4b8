"""The form of a message: the same rules apply at a worker's intake and before a replay."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from gatepost_core.broker.message_validation import Malformed, check_message, flaw_of_envelope

ID = str(uuid.uuid4())
OPERATION = {"operation_id": str(uuid.uuid4()), "version": 1}
BATCH = {"campaign_id": str(uuid.uuid4()), "batch": 0, "version": 1}


def check(kwargs: Any, *, task: str = "gatepost.send_email", **headers: Any) -> None:
    check_message({"id": ID, "task": task, **headers}, lambda: [[], kwargs, {}])


@pytest.mark.parametrize(
    ("task", "kwargs"),
    [
        ("gatepost.login_with_sms", OPERATION),
        ("gatepost.send_batch", BATCH),
        ("gatepost.submit", {"command": {"kind": "send_email"}}),
        ("gatepost.reconcile", {}),
    ],
)
def test_every_task_has_a_form_that_passes(task: str, kwargs: dict[str, Any]) -> None:
    """As the producers of today write it."""
    check(kwargs, task=task)


@pytest.mark.parametrize(
    ("task", "kwargs", "says"),
    [
        ("gatepost.nothing", OPERATION, "there is no such task here"),
        ("gatepost.send_email", {**OPERATION, "version": 2}, "version"),
        ("gatepost.send_email", {**OPERATION, "email": "x"}, "not operation_id and version"),
        ("gatepost.send_email", {"operation_id": 7}, "not operation_id and version"),
        ("gatepost.send_email", {"operation_id": "x"}, "operation_id is not a UUID"),
        ("gatepost.send_batch", {**BATCH, "batch": True}, "not campaign_id, batch and version"),
        ("gatepost.send_batch", {**BATCH, "batch": -1}, "batch is out of range"),
        ("gatepost.send_batch", {**BATCH, "campaign_id": "x"}, "campaign_id is not a UUID"),
    ],
)
def test_what_is_wrong_is_said_without_a_value(task: str, kwargs: dict[str, Any], says: str) -> None:
    """The sentence becomes the dead letter's reason, which anybody may read."""
    with pytest.raises(Malformed, match=says):
        check(kwargs, task=task)


def test_a_body_that_does_not_decode_is_named_by_its_error() -> None:
    """Kombu's decoders raise whatever a foreign body makes them raise; its text may quote the body."""
    with pytest.raises(Malformed, match=r"the body cannot be read \(JSONDecodeError\)"):
        check_message({"id": ID, "task": "gatepost.submit"}, lambda: json.loads("ana@example.com"))


@pytest.mark.parametrize("headers", [None, [], {}, {"id": 7, "task": "gatepost.submit"}, {"id": ID}])
def test_headers_without_an_id_or_a_task_do_not_pass(headers: Any) -> None:
    """Celery would trip over them."""
    with pytest.raises(Malformed):
        check_message(headers, lambda: [[], {}, {}])


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"id": "guest@example.com"}, "id is neither a UUID nor"),
        ({"id": f"{{{ID}}}"}, "id is neither a UUID nor"),
        ({"id": f"urn:uuid:{ID}"}, "id is neither a UUID nor"),
        ({"id": f"{ID}\n"}, "id is neither a UUID nor"),
        ({"id": "-" * 1000 + ID}, "id is neither a UUID nor"),
        ({"id": "\u0661" * 32}, "id is neither a UUID nor"),
        ({"retries": "+46701740605"}, "retries"),
        ({"eta": datetime(2100, 1, 1, tzinfo=UTC)}, "too far away"),
        ({"eta": datetime(2100, 1, 1)}, "too far away"),  # noqa: DTZ001 - as AMQP has them
        ({"eta": 4102444800}, "eta is not a time"),
    ],
)
def test_a_header_that_celery_would_show_or_wait_for_is_checked(header: dict[str, Any], says: str) -> None:
    """Events, results' keys and logs have the one, and a worker would hold the other for years."""
    with pytest.raises(Malformed, match=says):
        check({"command": {}}, task="gatepost.submit", **header)


@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain", "chord"])
def test_a_message_that_starts_others_is_malformed(name: str) -> None:
    """Otherwise a worker would publish or run tasks that a message names, in its body or headers."""
    others = {name: [{"task": "gatepost.send_email"}]}

    with pytest.raises(Malformed, match="callbacks"):
        check_message({"id": ID, "task": "gatepost.send_email"}, lambda: [[], OPERATION, others])
    with pytest.raises(Malformed, match="callbacks"):
        check(OPERATION, **others)


@pytest.mark.parametrize("content", [{"content-encoding": "bz2"}, {"content-type": "application/x-python-serialize"}])
def test_an_envelope_in_a_form_that_kombu_would_unpack_has_a_flaw(content: dict[str, str]) -> None:
    """Kombu decodes by any codec of Python's, and by pickle where it is let."""
    properties = {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "q"}, "body_encoding": "base64"}

    flaw = flaw_of_envelope({"headers": {}, "properties": properties, "body": "", **content})

    assert "content type or encoding" in (flaw or "")


def test_an_envelope_as_kombu_writes_it_has_no_flaw() -> None:
    """And each of its parts matters."""
    properties = {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "q"}, "body_encoding": "base64"}
    good = {"headers": {}, "properties": properties, "body": ""}

    assert flaw_of_envelope(good) is None
    for flawed in (
        [],
        {**good, "properties": {}},
        {**good, "properties": {"delivery_tag": "t"}},
        {**good, "headers": []},
        {**good, "body": {}},
        {**good, "properties": {**properties, "body_encoding": "rot13"}},
        {**good, "properties": {**properties, "priority": "high"}},
    ):
        assert flaw_of_envelope(flawed)
