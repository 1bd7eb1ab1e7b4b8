"""Messages that are lost, doubled, redelivered while they are worked on, or lost in kombu's own window."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from pydantic import SecretStr

from gatepost import Producer, State
from gatepost_core.broker.messages import SEND_BATCH, batch_message, operation_message
from gatepost_core.broker.publishing import publish
from gatepost_core.kinds import Queue
from gatepost_core.redis.connections import connect
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.chaos_load import Load
from support.chaos_stack import ALL_QUEUES, ChaosStack, fault
from support.foreign_client import push
from support.guests import address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.stack import Program

COPIES = 5


@pytest.fixture
def ward(redis_ward: ChaosStack) -> ChaosStack:
    """Most of this is about Redis lists."""
    return redis_ward


@pytest.fixture
def load(ward: ChaosStack, producer: Producer) -> Load:
    return Load(ward, producer)


def ask_for_all(load: Load, broker: str | None = None) -> None:
    """Ask for sends, logins and a campaign; with a broker given, their messages go there."""
    codes = load.prepare_logins(3)
    if broker is None:
        _ask(load, codes)
        return
    with Producer(load.stack.settings.model_copy(update={"broker_url": SecretStr(broker)})) as elsewhere:
        _ask(load, codes, elsewhere)


def _ask(load: Load, codes: dict[str, str], producer: Producer | None = None) -> None:
    asking = Load(load.stack, producer or load.producer, load.sends, load.logins, load.campaigns)
    asking.campaign(20)
    asking.send(3)
    asking.log_in(codes)


def publish_copies(load: Load) -> None:
    """Put more messages on the broker for everything that was asked for."""
    app = load.producer.app
    for operation_id in (*load.sends.values(), *load.logins.values()):
        kind = load.producer.handle(operation_id).outcome().kind
        for _ in range(COPIES):
            publish(app, kind.task, kind.queue, operation_id, operation_message(operation_id))
    for campaign_id in load.campaigns:
        for batch in range(load.producer.campaigns.status(campaign_id).batches):
            for _ in range(COPIES):
                publish(app, SEND_BATCH, Queue.BULK, str(uuid.uuid4()), batch_message(campaign_id, batch))


def redeliver_everything(load: Load) -> int:
    """Give every message under way to another worker, as kombu does after the visibility timeout; return their number."""
    with load.stack.redis() as client:
        noted: Any = client.hlen("unacked")
    with load.producer.app.connection_for_write() as connection:
        channel: Any = connection.channel()
        channel.visibility_timeout = 0
        channel.qos.restore_visible(num=None, interval=1)
    return int(noted)


def test_lost_messages_are_published_again(load: Load, record: Callable[..., None]) -> None:
    """The broker takes no message: recorded operations are carried out all the same."""
    ask_for_all(load, broker="redis://127.0.0.1:1/0")
    load.until_ended()

    account = load.account()
    record("messages lost", account, injected=7)
    assert account.states == {State.ACCEPTED: 26}
    account.assert_holds()


def test_doubled_messages_for_two_workers_do_everything_once(load: Load, record: Callable[..., None]) -> None:
    """Every message six times, while two workers are at it and answers take their time."""
    second = load.stack.worker(ALL_QUEUES)
    held = load.stack.simulator.control.script_fault(when="after", delay_s=0.2, count=0)
    try:
        ask_for_all(load)
        publish_copies(load)
        load.until_ended()
    finally:
        load.stack.simulator.control.clear_faults(held)
        second.terminate()

    account = load.account()
    record("messages doubled, two workers", account, injected=7 * COPIES)
    assert account.states == {State.ACCEPTED: 26}
    account.assert_holds()


def test_messages_redelivered_while_they_are_worked_on_change_nothing(load: Load, record: Callable[..., None]) -> None:
    """Kombu's own redelivery, while every call is under way: the second worker finds the attempt and leaves it alone."""
    control = load.stack.simulator.control
    codes = load.prepare_logins(3)
    control.script_fault(when="after", delay_s=1.5, count=7)
    before = control.counts()["total"]
    _ask(load, codes)
    load.stack.until(lambda: control.counts()["total"] > before + 3, "calls are under way")
    redelivered = redeliver_everything(load)
    load.until_ended()

    account = load.account()
    record("messages redelivered meanwhile", account, injected=redelivered)
    assert redelivered
    assert account.states == {State.ACCEPTED: 26}
    account.assert_holds()


@pytest.mark.chaos_long
def test_messages_held_past_the_visibility_timeout_change_nothing(
    ward: ChaosStack, load: Load, record: Callable[..., None]
) -> None:
    """The same without help: answers take longer than the visibility timeout, and two workers share the broker."""
    broker = ward.broker_apart()
    patient = dict.fromkeys(("GATEPOST_EMAIL_DEADLINE", "GATEPOST_LOGIN_DEADLINE"), "40")
    apart = {"GATEPOST_BROKER_URL": broker, "GATEPOST_VISIBILITY_TIMEOUT": "10", **patient}
    codes = load.prepare_logins(2)
    workers = [ward.worker(ALL_QUEUES, **apart) for _ in range(2)]
    ward.simulator.control.script_fault(when="after", delay_s=25, count=5)
    with Producer(ward.settings.model_copy(update={"broker_url": SecretStr(broker)})) as elsewhere:
        _ask(load, codes, elsewhere)
    ward.until(lambda: load.open == 0, "everything has ended", timeout=120)
    for worker in workers:
        worker.terminate()

    account = load.account()
    record("messages held past the visibility timeout", account)
    assert account.states == {State.ACCEPTED: 25}
    account.assert_holds()


def test_a_message_lost_in_kombus_window_is_found_by_the_ledger(
    ward: ChaosStack, load: Load, record: Callable[..., None]
) -> None:
    """Killed between fetching a message and noting it: nothing is left of it on the broker, and the operation is carried out."""
    broker = ward.broker_apart()
    worker = ward.struck(fault("kill", "before note"), GATEPOST_BROKER_URL=broker)
    recipient = address()
    with Producer(ward.settings.model_copy(update={"broker_url": SecretStr(broker)})) as elsewhere:
        load.sends[recipient] = elsewhere.send_email(recipient).operation_id
    assert worker.wait(120) == -signal.SIGKILL
    assert load.producer.handle(load.sends[recipient]).state() is State.QUEUED
    load.until_ended()

    account = load.account()
    record("killed in kombu's window: Gatepost", account)
    assert account.states == {State.ACCEPTED: 1}
    account.assert_holds()


def test_a_submission_recorded_by_a_worker_that_died_is_not_recorded_again(
    ward: ChaosStack, load: Load, record: Callable[..., None]
) -> None:
    """Killed between recording and acknowledging: the message comes again, and names the operation that is there."""
    broker = ward.broker_apart()
    worker = ward.struck(fault("kill", "after record"), GATEPOST_BROKER_URL=broker)
    recipient = address()
    kwargs = {"command": {"kind": "send_email", "email": recipient}}
    with connect(ward.settings.model_copy(update={"redis_url": SecretStr(broker)})) as apart:
        task_id = push(apart, kwargs)
    assert worker.wait(120) == -signal.SIGKILL
    with ward.redis() as client:
        push(client, kwargs, id=task_id)
    again = load.producer.app.AsyncResult(task_id).get(timeout=120)
    load.sends[recipient] = again["operation_id"]
    # A second operation would not be among those of the load.
    counts = load.producer.ledger.counts
    ward.until_swept(
        lambda: not any(number for (_, state), number in counts().items() if not state.is_terminal), "all have ended"
    )

    account = load.account()
    record("killed amid a submission", account)
    assert account.states == {State.ACCEPTED: 1}
    account.assert_holds()


# Stock Celery ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path, ward: ChaosStack) -> Iterator[ChaosStack]:
    """A Valkey for workers that are not Gatepost's."""
    with EmbeddedValkey(tmp_path / "valkey") as valkey, ChaosStack(valkey, ward.simulator, tmp_path) as stack:
        yield stack


def stock_worker(stack: ChaosStack, **environment: str) -> Program:
    name = f"stock{len(stack.programs)}@test"
    program = stack.start(
        name,
        *("-m", "celery", "-A", "support.chaos_stock", "worker", "-n", name, "--without-gossip", "--without-mingle"),
        *("--loglevel", "INFO"),
        STOCK_URL=stack.valkey.url,
        PYTHONPATH=str(Path(__file__).parents[1]),
        **environment,
    )
    stack.until(lambda: "ready." in program.output(), f"{name} is ready", program)
    return program


def ask_stock(stack: ChaosStack, name: str, seconds: float) -> None:
    with Celery("stock", broker=stack.valkey.url, set_as_current=False) as app:
        app.send_task("stock.work", args=[name, seconds])


def begun(stack: ChaosStack) -> list[str]:
    with stack.redis() as client:
        found: Any = client.lrange("stock:begun", 0, -1)
        return [name.decode() for name in found]


def test_stock_celery_loses_a_message_in_kombus_window(bare: ChaosStack) -> None:
    """Late acknowledgement does not help: a message that was fetched and not noted is lost."""
    dying = stock_worker(bare, STOCK_DIES="yes")
    ask_stock(bare, "lost", 0)
    assert dying.wait(120) == -signal.SIGKILL

    sound = stock_worker(bare)
    ask_stock(bare, "another", 0)
    bare.until(lambda: "another" in begun(bare), "the next message is taken", sound)
    with bare.redis() as client:
        assert (client.llen("celery"), client.hlen("unacked")) == (0, 0)
    assert begun(bare) == ["another"]


def test_stock_celery_repeats_a_message_that_is_held_too_long(bare: ChaosStack) -> None:
    """A task that outlasts the visibility timeout is begun again while it runs."""
    worker = stock_worker(bare, STOCK_VISIBILITY_S="1")
    ask_stock(bare, "long", 4)

    bare.until(lambda: begun(bare).count("long") >= 2, "it is begun a second time", worker)
    worker.kill()
