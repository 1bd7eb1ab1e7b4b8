"""Submissions without a queue: accepted, kept as dead letters, or returned."""

from __future__ import annotations

import json
import uuid
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any

import pytest
from celery.exceptions import Reject
from pydantic import SecretStr

from gatepost import errors as e
from gatepost_core.broker.messages import SUBMIT
from gatepost_core.broker.publishing import build_app
from gatepost_core.sealing import Purpose
from gatepost_worker import tasks
from gatepost_worker.process import Process
from gatepost_worker.submission import Submissions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery

    from gatepost_core.settings import Settings

TASK = "0f8fad5b-d9cb-469f-a165-70867728950e"
COMMAND = {"kind": "send_email", "email": "guest@example.com"}


@pytest.fixture
def made(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., tuple[Celery, Process]]]:
    """Makes an app with Gatepost's tasks, and its process."""
    apps = []

    def make(**given: Any) -> tuple[Celery, Process]:
        settings = make_settings().model_copy(update=given)
        app, process = build_app(settings), Process(settings)
        apps.append(app)
        tasks.register(app, process)
        return app, process

    yield make
    for app in apps:
        app.close()


@pytest.mark.parametrize("written", [COMMAND, json.dumps(COMMAND), f"  {json.dumps(COMMAND)}"])
def test_plain_commands_are_refused_and_kept_where_only_sealed_ones_are_taken(
    made: Callable[..., tuple[Celery, Process]], written: Any
) -> None:
    """Nothing is recorded; the letter has all of it, sealed."""
    app, process = made(submissions="sealed")

    with pytest.raises(e.InvalidCommand, match="not sealed, which GATEPOST_SUBMISSIONS demands"):
        Submissions(app, process).accept("task-1", written, None)

    (letter,) = process.dead_letters.list()
    assert json.loads(process.dead_letters.open(letter)["body"])[1]["command"] == written
    assert not process.ledger.counts()


def test_sealed_commands_are_taken_there(made: Callable[..., tuple[Celery, Process]]) -> None:
    """One message, one operation, however often it comes."""
    app, process = made(submissions="sealed")
    sealed = process.keyring.seal(json.dumps(COMMAND).encode(), Purpose.submission())

    ids = {Submissions(app, process).accept("task-1", sealed, None) for _ in range(2)}

    assert len(ids) == 1
    assert sum(process.ledger.counts().values()) == 1


def test_a_plain_command_that_is_delivered_twice_is_one_operation(made: Callable[..., tuple[Celery, Process]]) -> None:
    """The queue delivers a message at least once; another message with the same command is another operation."""
    app, process = made()
    submissions = Submissions(app, process)
    first, again, other = (
        submissions.accept(task, COMMAND, None) for task in (TASK, TASK.upper(), TASK.replace("0", "1"))
    )

    assert first == again != other
    assert sum(process.ledger.counts().values()) == 2


def test_a_sealed_command_is_carried_out_once_under_whatever_id_or_key_it_comes_again(
    made: Callable[..., tuple[Celery, Process]],
) -> None:
    """A reader of the queue can push a message again, and can encode the same JWE differently."""
    app, process = made()
    submissions = Submissions(app, process)
    sealed = process.keyring.seal(json.dumps(COMMAND).encode(), Purpose.submission())
    ids = [
        submissions.accept(task, sealed, key) for task, key in [("1", None), ("2", None), ("3", "a key"), ("4", "b")]
    ]
    # Four bits of the tag's last letter mean nothing.
    spellings = [f"{sealed[:-1]}{letter}" for letter in f"{ascii_letters}{digits}-_" if letter != sealed[-1]]
    for spelling in [*spellings, f"{sealed}=", f"{sealed}\n", f"{sealed[:-1]}!{sealed[-1]}"]:
        with pytest.raises(e.InvalidCommand):
            submissions.accept("5", spelling, None)

    assert len(set(ids)) == 1
    assert sum(process.ledger.counts().values()) == 1


def test_a_sealed_command_that_was_taken_for_an_earlier_one_or_refused_is_not_carried_out_later(
    made: Callable[..., tuple[Celery, Process]],
) -> None:
    """It is the same operation with its idempotency key, without the key, or with another key."""
    app, process = made()
    submissions = Submissions(app, process)
    other = {**COMMAND, "email": "other@example.com"}
    first, again, refused = (
        process.keyring.seal(json.dumps(document).encode(), Purpose.submission())
        for document in (COMMAND, COMMAND, other)
    )
    operation = submissions.accept("1", first, "a key")
    assert submissions.accept("2", again, "a key") == operation
    with pytest.raises(e.IdempotencyConflict):
        submissions.accept("3", refused, "a key")

    assert {submissions.accept("4", again, key) for key in (None, "b", "a key")} == {operation}
    for key in (None, "b", "a key"):
        with pytest.raises(e.IdempotencyConflict):
            submissions.accept("5", refused, key)
    assert sum(process.ledger.counts().values()) == 1


def test_a_command_that_is_sealed_anew_is_the_same_under_its_idempotency_key(
    made: Callable[..., tuple[Celery, Process]],
) -> None:
    """Without one it is another command, as two plain ones would be."""
    app, process = made()
    submissions = Submissions(app, process)
    first, second = (process.keyring.seal(json.dumps(COMMAND).encode(), Purpose.submission()) for _ in range(2))

    under_a_key = {submissions.accept(task, sealed, "a key") for task, sealed in (("1", first), ("2", second))}
    third, fourth = (process.keyring.seal(json.dumps(COMMAND).encode(), Purpose.submission()) for _ in range(2))
    without = {submissions.accept("3", sealed, None) for sealed in (third, fourth)}

    assert (len(under_a_key), len(without)) == (1, 2)


def test_an_answer_names_no_tenant(made: Callable[..., tuple[Celery, Process]]) -> None:
    """A stranger learns that there is none of that name, and not which there are."""
    app, process = made()

    with pytest.raises(e.InvalidCommand) as refused:
        Submissions(app, process).accept("1", {**COMMAND, "tenant": "acme"}, None)

    assert str(refused.value) == "tenant: is not configured here"


@pytest.mark.parametrize("command", [COMMAND, "no seal"])
def test_a_submission_goes_back_to_its_queue_while_redis_is_away(
    made: Callable[..., tuple[Celery, Process]], command: Any
) -> None:
    """It is neither answered with a failure, which would be its end, nor lost."""
    app, _ = made(redis_url=SecretStr("redis://127.0.0.1:1/0"), broker_url=SecretStr("memory://"))
    task: Any = app.tasks[SUBMIT]

    task.push_request(id=str(uuid.uuid4()))
    with pytest.raises(Reject) as given_back:
        task.run(command)

    assert given_back.value.requeue


def test_the_answer_to_a_malformed_message_lives_as_long_as_a_record(
    made: Callable[..., tuple[Celery, Process]],
) -> None:
    """As every other answer, by `GATEPOST_RECORD_LIFETIME`."""
    _, process = made(record_lifetime=300)
    process.dead_letter(json.dumps({"headers": {"id": TASK}}), reason="it is malformed", queue="gatepost.send")

    assert 240 < process.redis.ttl(process.keys.celery_result(TASK)) <= 300
