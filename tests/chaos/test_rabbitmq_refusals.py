"""A RabbitMQ that refuses, is in an alarm, or is silent: a recorded operation has its handle soon, and is published later."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

import kombu
import pytest
from structlog.testing import capture_logs

from gatepost import Campaigns, Producer, State
from gatepost.errors import Unavailable
from gatepost_core.broker.messages import SUBMIT
from gatepost_core.commands import SendEmail
from gatepost_core.dead_letters import Selection
from gatepost_core.kinds import Queue
from gatepost_core.ledger import ledger_at
from gatepost_core.redis.connections import connect
from gatepost_operations.cli.entry import main
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from gatepost_worker.bulk.task import CampaignParts
from gatepost_worker.process import Process
from gatepost_worker.submission import Submissions
from gatepost_worker.upkeep.reconciler import Reconciler
from support.campaign_parts import rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery

    from gatepost_core.settings import Settings
    from support.chaos_rabbitmq import RabbitMQ

    Examine = Callable[[str], tuple[float, list[dict[str, Any]]]]

pytestmark = [
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
    # RabbitMQ and its control program take their time to start beside other tests.
    pytest.mark.timeout(600),
]

ADDRESS = "ana@example.com"
# Far more than the limits below add up to, and far less than for ever.
SOON_S = 120.0
LIMIT_S = 2.0


@pytest.fixture(scope="module")
def hosts(rabbitmq: RabbitMQ) -> RabbitMQ:
    """The node with four virtual hosts: two that take everything, one with quorum queues, one without permissions."""
    rabbitmq.new_hosts({"well": ".*", "quorum": ".*", "silent": ".*", "refused": "^$"})
    with kombu.Connection(rabbitmq.host("quorum")) as connection:
        for queue in Queue:
            kombu.Queue(KEYS.queue(queue), queue_arguments={"x-queue-type": "quorum"})(
                connection.default_channel
            ).queue_declare()
    return rabbitmq


@pytest.fixture
def at(make_settings: Callable[..., Settings]) -> Callable[[str], Settings]:
    """Make settings for a broker's URL."""

    def make(url: str) -> Settings:
        return make_settings(broker_url=url, broker_timeout=LIMIT_S, republish_after=0.05)

    return make


@pytest.fixture
def quorum(hosts: RabbitMQ) -> str:
    """The URL of the virtual host with quorum queues."""
    return hosts.host("quorum")


REFUSALS = {
    "PreconditionFailed": ("quorum", "queues", "gatepost.bulk exists with another type or other arguments"),
    "AccessRefused": ("refused", "broker", "refused the user"),
    "NotAllowed": ("missing", "broker", "refused the virtual host"),
    "BrokerBlocked": ("well", "broker", "accepts no messages: it is in a memory or disk alarm"),
}


@pytest.mark.parametrize("error", REFUSALS)
def test_an_operation_that_the_broker_refuses_has_its_handle_and_is_published_later(
    error: str,
    hosts: RabbitMQ,
    at: Callable[[str], Settings],
    make_settings: Callable[..., Settings],
    examine: Examine,
) -> None:
    """The call returns soon, the log names the error, the doctor the cause, and the reconciler publishes the operation."""
    host, check, found = REFUSALS[error]
    url = hosts.host(host)
    with Producer(at(url)) as producer, hosts.in_an_alarm() if error == "BrokerBlocked" else nullcontext():
        with capture_logs() as logs:
            began = time.monotonic()
            handle = producer.send_email(ADDRESS)
            took = time.monotonic() - began
        examined, checks = examine(url)
        failed = [one for one in checks if one["name"] == check and one["status"] == "failed"]

        assert took < SOON_S
        assert [(log["event"], log["error"], log["correlation_id"]) for log in logs] == [
            ("publish.postponed", error, handle.operation_id)
        ]
        assert handle.state() is State.QUEUED
        assert examined < SOON_S
        assert any(one["found"].startswith(found) for one in failed)
        assert all(one["advice"] for one in failed)
    elsewhere = make_settings()
    with reconciling(elsewhere) as reconciler, connect(elsewhere) as client:
        time.sleep(0.1)
        reconciler.run()

        assert client.llen(KEYS.queue(Queue.SEND)) == 1


def test_a_silent_broker_takes_no_longer(hosts: RabbitMQ, at: Callable[[str], Settings]) -> None:
    """Neither over a connection that there is, nor over a new one, nor when it is closed. A late confirm is not taken for the next message's."""
    settings = at(hosts.host("silent"))
    with Producer(settings) as producer:
        producer.send_email("before@example.com")
        with hosts.silent(), capture_logs() as logs:
            began = time.monotonic()
            over_a_connection = producer.send_email(ADDRESS)
            over_a_new_one = producer.send_email(ADDRESS)
            took = time.monotonic() - began

        assert took < SOON_S
        assert [(log["event"], log["error"]) for log in logs] == [
            ("publish.postponed", "BrokerSilent"),
            ("publish.postponed", "OperationalError"),
        ]
        assert over_a_connection.state() is over_a_new_one.state() is State.QUEUED
        after = producer.send_email(ADDRESS)

        assert after.operation_id in published(settings)
        with producer.app.connection_for_write() as connection:
            connection.connect()
            began = time.monotonic()
            with hosts.silent():
                connection.close()

            assert time.monotonic() - began < SOON_S


def test_a_campaign_whose_batches_the_broker_refuses_runs_and_is_published_later(
    quorum: str, at: Callable[[str], Settings], make_settings: Callable[..., Settings]
) -> None:
    """`start` and `retry` return, and the sweep publishes the batches."""
    with Campaigns(at(quorum)) as campaigns, capture_logs() as logs:
        campaign_id = campaigns.create("refused")
        campaigns.add(campaign_id, rows(3))
        started = campaigns.start(campaign_id)
        campaigns.retry(campaign_id, [State.UNKNOWN])

    assert started.status.value == "running"
    assert [log["campaign_id"] for log in logs if log["event"] == "publish.postponed"] == [campaign_id]
    elsewhere = make_settings()
    with worker_app(elsewhere) as app, connect(elsewhere) as client:
        time.sleep(0.1)
        CampaignParts(app, Process(elsewhere)).sweep.run()

        assert client.llen(KEYS.queue(Queue.BULK)) == 1


def test_a_submission_whose_operation_the_broker_refuses_names_its_operation(
    quorum: str, at: Callable[[str], Settings]
) -> None:
    """The submitter gets the id; he has no reason to ask again."""
    settings = at(quorum)
    process = Process(settings)
    with worker_app(settings) as app, capture_logs() as logs:
        operation_id = Submissions(app, process).accept("task-1", {"kind": "send_email", "email": ADDRESS}, None)
    process.close()

    assert [(log["event"], log["correlation_id"]) for log in logs] == [("publish.postponed", operation_id)]


def test_a_letter_that_the_broker_refuses_is_kept_and_marked(quorum: str, at: Callable[[str], Settings]) -> None:
    """The error is one of ours, and names the cause."""
    body = json.dumps([[], {"command": {"kind": "send_email", "email": ADDRESS}}, {}])
    message = {"headers": {"task": SUBMIT, "id": str(uuid.uuid4())}, "properties": {}, "body": body}
    with DeadLetterControl(at(quorum)) as control:
        control.letters.add(message, reason="none", queue=KEYS.queue(Queue.SEND))
        with pytest.raises(Unavailable, match="PreconditionFailed"):
            control.replay(Selection())

        assert [letter.published_perhaps for letter in control.letters.list()] == [True]


def test_the_sweep_ends_expired_operations_although_the_broker_refuses(
    quorum: str, at: Callable[[str], Settings]
) -> None:
    """One try a run; the interval before the next try of an unpublished operation does not double."""
    settings = at(quorum)
    with Producer(settings) as producer:
        waiting = [producer.send_email(f"{name}@example.com") for name in ("a", "b", "c")]
        over = producer.enqueue(
            SendEmail(email="late@example.com", deadline=datetime.now(UTC) + timedelta(milliseconds=50))
        )
        time.sleep(0.2)
        with reconciling(settings) as reconciler, capture_logs() as logs:
            for _ in range(3):
                looked_at = reconciler.run()
                time.sleep(0.2)

            assert over.state() is State.EXPIRED
            assert [one.state() for one in waiting] == [State.QUEUED] * 3
            assert looked_at >= 3
            assert [log["event"] for log in logs].count("publish.postponed") == 3


def test_the_doctor_does_not_wait_for_a_silent_broker(hosts: RabbitMQ, examine: Examine) -> None:
    """It says that the broker does not answer."""
    with hosts.silent():
        took, checks = examine(hosts.host("well"))

    assert took < SOON_S
    assert [one["found"].split(" (")[0] for one in checks if one["name"] == "broker"] == ["does not answer"]


@pytest.fixture
def examine(
    at: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Examine:
    """Run the doctor for a broker's URL: the seconds it took, and its checks."""

    def call(url: str) -> tuple[float, list[dict[str, Any]]]:
        redis_url = at(url).redis_url.get_secret_value()
        with monkeypatch.context() as environment:
            environment.setenv("GATEPOST_REDIS_URL", redis_url)
            environment.setenv("GATEPOST_BROKER_URL", url)
            environment.setenv("GATEPOST_BROKER_TIMEOUT", str(LIMIT_S))
            began = time.monotonic()
            main(["doctor", "--offline", "--json"])
            took = time.monotonic() - began
        return took, json.loads(capsys.readouterr().out)["checks"]

    return call


@contextmanager
def worker_app(settings: Settings) -> Iterator[Celery]:
    app = import_module("gatepost_worker.celery").create(settings)
    yield app
    app.close()


@contextmanager
def reconciling(settings: Settings) -> Iterator[Reconciler]:
    with worker_app(settings) as app, connect(settings) as client:
        yield Reconciler(app, ledger_at(client, settings), client, KEYS)


def published(settings: Settings, queue: Queue = Queue.SEND) -> list[str]:
    """Take every message off a queue, and return their ids."""
    found: list[str] = []
    with kombu.Connection(settings.broker) as connection:
        channel: Any = connection.channel()
        while message := channel.basic_get(KEYS.queue(queue), no_ack=True):
            found.append(message.headers["id"])
    return found
