"""A message while the worker itself fails: it goes back to its queue once, and then to the dead letters."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from celery.concurrency.thread import TaskPool
from kombu import Message

from gatepost_core.broker.messages import SUBMIT, operation_message
from gatepost_core.commands import OnUnknown
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.errors import Unavailable
from gatepost_core.kinds import Kind
from gatepost_core.ledger.values import NewOperation
from gatepost_core.states import State
from gatepost_worker.celery_guard.intake import strategy
from support.keys import KEYS
from support.ledger_calls import begin_attempt, record_one

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from celery import Celery

    from gatepost_core.ledger import Ledger
    from gatepost_core.settings import Settings

CANARY = "canary-q7x2v9@example.com"


class Channel:
    """Records acknowledgements and rejections."""

    no_ack_consumers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.done: list[tuple[str, bool]] = []

    def message_to_python(self, message: Any) -> Any:
        return message

    def basic_ack(self, _tag: str, *, multiple: bool = False) -> None:
        self.done.append(("acknowledged", multiple))

    def basic_reject(self, _tag: str, *, requeue: bool = False) -> None:
        self.done.append(("given back" if requeue else "dropped", requeue))


class Consumer:
    """What Celery's strategy uses of a consumer; `on_task_request` is where a request goes to the pool."""

    hostname = "worker@test"
    connection_errors = (ConnectionError,)
    event_dispatcher = None
    disable_rate_limits = True
    timer = SimpleNamespace(call_at=None)
    apply_eta_task = limit_task = _limit_task = _limit_post_eta = None

    def __init__(self, app: Celery, take: Callable[[Any], None]) -> None:
        self.app = app
        self.on_task_request = take
        self.task_buckets: dict[str, None] = defaultdict(lambda: None)
        self.pool = TaskPool(limit=1)
        self.controller = SimpleNamespace(state=SimpleNamespace(revoked=set()))


@pytest.fixture
def letters(redis_client: redis.Redis, settings: Settings) -> DeadLetters:
    return DeadLetters(redis_client, KEYS, settings.keyring(), lifetime_s=60)


def received(channel: Channel, *, redelivered: bool = False, **headers: Any) -> Message:
    """A submission as it comes off the broker."""
    body = json.dumps([[], {"command": {"kind": "send_email", "email": CANARY}}, {}])
    given = {"id": str(uuid.uuid4()), "task": SUBMIT, "lang": "py", **headers}
    delivery = {"routing_key": "gatepost.send", "redelivered": redelivered}
    return Message(body, "tag", "application/json", "utf-8", delivery, headers=given, channel=channel)


def hand_over(app: Celery, letters: DeadLetters, message: Message, take: Callable[[Any], None]) -> None:
    handle = strategy(app.tasks[message.headers["task"]], app, Consumer(app, take), dead_letters=lambda: letters)
    handle(message, None, message.ack_log_error, message.reject_log_error, [])


@pytest.mark.parametrize("error", [AttributeError, TypeError, ValueError, KeyError, MemoryError, RecursionError])
def test_an_error_of_the_workers_own_gives_the_message_back(
    app: Celery, letters: DeadLetters, error: type[Exception]
) -> None:
    """As of a pool that cannot grow: the message is good, another worker takes it, and it is not called malformed."""

    def fails(_request: Any) -> None:
        raise error("'TaskPool' object has no attribute 'grow'")

    channel = Channel()

    hand_over(app, letters, received(channel), fails)

    assert channel.done == [("given back", True)]
    assert len(letters) == 0


def test_a_message_that_the_worker_cannot_take_does_not_stop_its_queue(app: Celery, letters: DeadLetters) -> None:
    """The broker delivers it first again, so after the second error it is kept as a dead letter, which names the worker."""

    def fails(_request: Any) -> None:
        raise AttributeError

    channel = Channel()

    hand_over(app, letters, received(channel, redelivered=True), fails)

    assert channel.done == [("acknowledged", False)]
    assert [letter.reason for letter in letters.list()] == [
        "the worker failed while it took the message (AttributeError)"
    ]


def test_a_message_waits_while_redis_does_not_answer(app: Celery, letters: DeadLetters) -> None:
    """However often it comes, it goes back to its queue: the next worker that reaches Redis takes it."""

    def fails(_request: Any) -> None:
        raise Unavailable("Redis does not answer.")

    channel = Channel()

    hand_over(app, letters, received(channel, redelivered=True), fails)

    assert channel.done == [("given back", True)]
    assert len(letters) == 0


def test_a_lost_connection_is_left_to_celery(app: Celery, letters: DeadLetters) -> None:
    """It makes a new one, and the broker delivers the message again."""

    def fails(_request: Any) -> None:
        raise ConnectionError

    channel = Channel()

    with pytest.raises(ConnectionError):
        hand_over(app, letters, received(channel), fails)

    assert channel.done == []
    assert len(letters) == 0


@pytest.mark.parametrize("headers", [{"eta": "soon"}, {"expires": "no moment"}, {"retries": "three"}, {"id": 7}])
def test_what_celery_cannot_use_is_malformed(app: Celery, letters: DeadLetters, headers: dict[str, Any]) -> None:
    """It would fail again after every delivery, so it is kept as a dead letter and not given back."""
    channel = Channel()

    hand_over(app, letters, received(channel, **headers), lambda _request: None)

    assert channel.done == [("acknowledged", False)]
    assert len(letters) == 1


@pytest.mark.parametrize("empty", ["", None])
@pytest.mark.parametrize("header", ["eta", "expires", "retries", "ignore_result"])
def test_an_empty_header_is_none(app: Celery, letters: DeadLetters, header: str, empty: str | None) -> None:
    """Celery fails over some of them."""
    taken: list[Any] = []

    hand_over(app, letters, received(Channel(), **{header: empty}), taken.append)

    assert len(taken) == 1
    assert len(letters) == 0


def test_a_message_cannot_make_celery_overwrite_the_stored_result(app: Celery, letters: DeadLetters) -> None:
    """Celery's header for it is stronger than the task's own setting, and a sender may write anything there."""
    taken: list[Any] = []

    operation_id = str(uuid.uuid4())
    message = received(Channel(), task=Kind.SEND_EMAIL.task, id=operation_id, ignore_result=False)
    message.body = json.dumps([[], operation_message(operation_id), {}])

    hand_over(app, letters, message, taken.append)

    assert [request.ignore_result for request in taken] == [True]


def test_a_submission_cannot_take_the_place_of_a_stored_result(
    app: Celery, ledger: Ledger, letters: DeadLetters, redis_client: redis.Redis
) -> None:
    """Celery would store its answer under the operation's id, and the tokens would be lost to their caller."""
    operation_id, taken = str(uuid.uuid4()), list[Any]()
    deadline = datetime.now(UTC) + timedelta(minutes=5)
    record_one(ledger, NewOperation(operation_id, Kind.LOGIN_WITH_EMAIL, "default", "sealed", deadline, OnUnknown.HOLD))
    begin_attempt(ledger, operation_id, "attempt", 10)
    ledger.settle(operation_id, "attempt", State.ACCEPTED, sealed_result="sealed tokens")
    stored = redis_client.get(KEYS.celery_result(operation_id))
    message = received(Channel(), id=operation_id)
    submit: Any = app.tasks[SUBMIT]
    handle = submit.Strategy(submit, app, Consumer(app, taken.append))

    handle(message, None, message.ack_log_error, message.reject_log_error, [])

    assert taken == []
    assert redis_client.get(KEYS.celery_result(operation_id)) == stored
    (letter,) = letters.list()
    assert letter.reason == "the task's id is that of an operation"


def test_a_submission_that_waits_holds_none_of_its_arguments(app: Celery, letters: DeadLetters) -> None:
    """A worker with all slots busy holds messages for a while, and Celery can be asked for them."""
    taken: list[Any] = []
    sealed: list[Any] = []
    message = received(Channel())

    def seal(task_id: str, arguments: dict[str, Any]) -> str:
        sealed.append((task_id, arguments["command"]["email"]))
        return "sealed"

    handle = strategy(
        app.tasks[message.headers["task"]], app, Consumer(app, taken.append), dead_letters=lambda: letters, seal=seal
    )
    handle(message, None, message.ack_log_error, message.reject_log_error, [])

    assert sealed == [(message.headers["id"], CANARY)]
    assert taken[0].kwargs == {"sealed": "sealed"}
    assert CANARY not in message.body


def test_a_strangers_headers_go_no_further(app: Celery, letters: DeadLetters) -> None:
    """Celery repeats in events and logs the headers that it knows."""
    message = received(Channel(), shadow=CANARY, origin=CANARY, argsrepr=CANARY, root_id=CANARY, other=CANARY)

    hand_over(app, letters, message, lambda _request: None)

    assert CANARY not in str(message.headers)


def test_a_request_shows_no_arguments(app: Celery, letters: DeadLetters) -> None:
    """`celery inspect active` and Flower show what `info` says; a plain submission names an address."""
    taken: list[Any] = []

    hand_over(app, letters, received(Channel()), taken.append)

    assert taken[0].info()["name"] == SUBMIT
    assert CANARY not in json.dumps(taken[0].info())
    assert CANARY not in json.dumps(taken[0].info(safe=True))
