"""Waits for the ends of operations, of threads and event loops, over one subscription."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from gatepost import AsyncProducer, Outcome, Producer, State
from gatepost.errors import CorruptRecord, GatepostError, NotFinished, OperationNotFound, ProducerClosed, Unavailable
from gatepost.shared_redis import Client
from gatepost.waits import Wait, Waits
from gatepost_core.commands import OnUnknown
from gatepost_core.kinds import Kind
from gatepost_core.ledger import Ledger, ledger_at
from gatepost_core.ledger.values import NewOperation
from gatepost_core.reasons import Reason
from gatepost_core.redis.connections import connect
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.keys import KEYS
from support.ledger_calls import record_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis

    from gatepost.waits import Answer
    from gatepost_core.settings import Settings

SOON_S = 30.0
CHANNELS = "gatepost:operation:*"


def record(ledger: Ledger) -> str:
    """Record an operation without a worker, and return its id."""
    return record_one(
        ledger,
        NewOperation(
            operation_id=str(uuid.uuid4()),
            kind=Kind.SEND_EMAIL,
            tenant="default",
            sealed_command="sealed",
            deadline=datetime.now(UTC) + timedelta(minutes=5),
            on_unknown=OnUnknown.HOLD,
            payload_fingerprint="payload",
        ),
    )


def finish(ledger: Ledger, operation_id: str) -> None:
    ledger.close(operation_id, State.CANCELLED, Reason.CANCELLED_BY_CALLER)


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_5000_tasks_and_500_threads_wait_over_four_connections(
    settings: Settings, producer: Producer, ledger: Ledger, redis_client: redis.Redis
) -> None:
    """All waits end, over the connections of one producer."""
    of_tasks, of_threads = ([record(ledger) for _ in range(number)] for number in (5000, 500))
    before = len(redis_client.client_list())

    async def wait_for_all() -> tuple[list[Outcome], int]:
        async with AsyncProducer(settings) as other:
            tasks = [asyncio.create_task(other.handle(one).wait(SOON_S * 4)) for one in of_tasks]
            await asyncio.to_thread(until, lambda: followed() == 5500)
            connections = len(redis_client.client_list()) - before
            await asyncio.to_thread(finish_all)
            return await asyncio.gather(*tasks), connections

    def finish_all() -> None:
        for one in [*of_tasks, *of_threads]:
            finish(ledger, one)

    def followed() -> int:
        return len(redis_client.pubsub_channels(CHANNELS))

    with ThreadPoolExecutor(500) as threads:
        waiting = [threads.submit(producer.handle(one).wait, SOON_S * 4) for one in of_threads]
        told, connections = asyncio.run(wait_for_all())
        outcomes = [*told, *(one.result() for one in waiting)]

    assert connections <= 4
    assert [one.operation_id for one in outcomes] == [*of_tasks, *of_threads]
    assert {one.state for one in outcomes} == {State.CANCELLED}


def test_more_callers_than_connections_wait_for_one(producer: Producer, settings: Settings, ledger: Ledger) -> None:
    """A producer's callers and a worker's threads get their answers, and no error about connections."""
    operation_id = record(ledger)
    with connect(settings) as client, ThreadPoolExecutor(150) as threads:
        shared = ledger_at(client, settings)
        states = [threads.submit(producer.handle(operation_id).state) for _ in range(150)]
        states += [threads.submit(lambda: shared.outcome(operation_id).state) for _ in range(150)]

        assert {one.result() for one in states} == {State.QUEUED}


def test_what_ended_before_is_told_at_once_and_what_goes_on_is_not_finished(producer: Producer, ledger: Ledger) -> None:
    """Also without time to wait."""
    ended, open_one = record(ledger), record(ledger)
    finish(ledger, ended)

    assert producer.handle(ended).wait(0).state is producer.handle(ended).wait().state is State.CANCELLED
    with pytest.raises(NotFinished):
        producer.handle(open_one).wait(0)
    with pytest.raises(OperationNotFound):
        producer.handle(str(uuid.uuid4())).wait()


def test_a_wait_that_times_out_or_is_cancelled_leaves_nothing_behind(
    settings: Settings, producer: Producer, ledger: Ledger, redis_client: redis.Redis
) -> None:
    """No channel stays subscribed."""
    first, second, third = (record(ledger) for _ in range(3))

    async def give_up() -> None:
        async with AsyncProducer(settings) as other:
            with pytest.raises(NotFinished):
                await other.handle(second).wait(0.2)
            task = asyncio.create_task(other.handle(third).wait())
            await asyncio.to_thread(until, lambda: bool(redis_client.pubsub_channels(KEYS.operation(third))))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with pytest.raises(NotFinished):
        producer.handle(first).wait(0.2)
    asyncio.run(give_up())
    until(lambda: not redis_client.pubsub_channels(CHANNELS))


def test_a_process_with_more_than_1024_open_files_waits_too(producer: Producer, ledger: Ledger) -> None:
    """The numbers of its sockets are beyond what select(2) takes."""
    operation_id = record(ledger)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(producer.handle(operation_id).wait, SOON_S)
            time.sleep(0.1)
            finish(ledger, operation_id)

            assert waiting.result().state is State.CANCELLED
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_several_waits_for_one_operation_are_all_told(producer: Producer, ledger: Ledger) -> None:
    """One that gives up takes the subscription from no other."""
    operation_id = record(ledger)
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(producer.handle(operation_id).wait, SOON_S) for _ in range(2)]
        with pytest.raises(NotFinished):
            producer.handle(operation_id).wait(0.2)
        finish(ledger, operation_id)

        assert [one.result().state for one in waiting] == [State.CANCELLED] * 2


@pytest.fixture
def told(settings: Settings) -> Iterator[Callable[[str], SimpleQueue[Answer]]]:
    """Wait with a short interval between looks, and return the queue of the result."""
    client, subscriber = connect(settings), connect(settings, most=1)
    owner = Client(connection_pool=client.connection_pool)
    waits = Waits(client, subscriber, KEYS, look_again_s=0.1)

    def wait(operation_id: str) -> SimpleQueue[Answer]:
        answers: SimpleQueue[Answer] = SimpleQueue()
        waits.join(Wait(operation_id, owner, answers.put))
        return answers

    yield wait
    waits.stop()
    client.close()
    subscriber.close()


def test_an_end_whose_notice_is_lost_is_found_by_looking_again(
    told: Callable[[str], SimpleQueue[Answer]], ledger: Ledger, redis_client: redis.Redis
) -> None:
    """Here no notice is published at all."""
    operation_id = record(ledger)
    answers = told(operation_id)
    until(lambda: bool(redis_client.pubsub_channels(CHANNELS)))
    redis_client.hset(KEYS.operation(operation_id), "state", "accepted")

    answer = answers.get(timeout=SOON_S)
    assert isinstance(answer, Outcome)
    assert answer.state is State.ACCEPTED


def test_a_subscription_that_redis_cuts_is_made_anew(
    told: Callable[[str], SimpleQueue[Answer]], ledger: Ledger, redis_client: redis.Redis
) -> None:
    """With the channels that it had."""
    operation_id = record(ledger)
    answers = told(operation_id)
    until(lambda: bool(redis_client.pubsub_channels(CHANNELS)))
    redis_client.client_kill_filter(_type="pubsub")
    until(lambda: bool(redis_client.pubsub_channels(CHANNELS)))
    finish(ledger, operation_id)

    assert isinstance(answers.get(timeout=SOON_S), Outcome)


def test_a_wait_outlasts_a_restart_of_redis(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """An outcome from the time without a connection is found. A wait that begins in that time raises `Unavailable`."""
    with EmbeddedValkey(tmp_path) as server:
        settings = make_settings(redis_url=server.url)
        with Producer(settings) as producer, ThreadPoolExecutor(1) as threads, connect(settings) as client:
            own = ledger_at(client, settings)
            operation_id = record(own)
            waiting = threads.submit(producer.handle(operation_id).wait, SOON_S * 2)
            until(lambda: bool(client.pubsub_channels(CHANNELS)))
            server.stop()
            with pytest.raises(Unavailable) as caught:
                producer.handle(operation_id).wait(SOON_S)
            server.start()
            finish(own, operation_id)

            assert "othing is sent" not in str(caught.value)
            assert waiting.result().state is State.CANCELLED


def test_an_error_that_redis_answers_with_is_told(
    told: Callable[[str], SimpleQueue[Answer]], redis_client: redis.Redis
) -> None:
    """The error says nothing about the send, because the operation continues."""
    redis_client.set(KEYS.operation("corrupt"), "a string")
    answer = told("corrupt").get(timeout=SOON_S)

    assert isinstance(answer, Unavailable)
    assert "othing is sent" not in str(answer)


@pytest.mark.parametrize(("field", "value"), [("created", "9" * 30), ("state", "gone"), ("reason", b"\xff")])
def test_a_damaged_record_is_named_and_keeps_no_other_waiting(
    producer: Producer, ledger: Ledger, redis_client: redis.Redis, field: str, value: str | bytes
) -> None:
    """By every method of a handle that reads it."""
    corrupt, good = record(ledger), record(ledger)
    finish(ledger, corrupt)
    finish(ledger, good)
    redis_client.hset(KEYS.operation(corrupt), field, value)
    handle = producer.handle(corrupt)
    for call in (handle.outcome, handle.state, lambda: handle.wait(SOON_S), lambda: handle.redeem(SOON_S)):
        with pytest.raises(CorruptRecord, match="could not be read"):
            call()

    assert producer.handle(good).wait(SOON_S).state is State.CANCELLED


def test_a_fault_in_the_thread_is_logged_without_its_frames(producer: Producer) -> None:
    """Their locals would be shown; the class and the places are."""
    with structlog.testing.capture_logs() as logged, pytest.raises(GatepostError):
        producer.handle("\ud800").wait(1)
    failed = [entry for entry in logged if entry["event"] == "waits.failed_unexpectedly"]

    assert failed
    assert all(entry["failure"].startswith("UnicodeEncodeError at ") for entry in failed)
    assert not any("exc_info" in entry for entry in failed)


def test_a_user_who_may_not_subscribe_is_told_so(
    make_settings: Callable[..., Settings], ledger: Ledger, redis_client: redis.Redis
) -> None:
    """At once, with the way out."""
    redis_client.acl_setuser(
        "deaf", enabled=True, passwords=["+p"], keys=["*"], categories=["+@all"], channels=[], reset_channels=True
    )
    port = redis_client.connection_pool.connection_kwargs["port"]
    with Producer(make_settings(redis_url=f"redis://deaf:p@127.0.0.1:{port}/0")) as producer:
        with pytest.raises(Unavailable, match="does not allow this user") as caught:
            producer.handle(record(ledger)).wait(SOON_S)

        assert "othing is sent" not in str(caught.value)
    redis_client.acl_deluser("deaf")


def test_closing_the_producer_ends_its_waits_and_no_other_producers(
    settings: Settings, producer: Producer, ledger: Ledger, redis_client: redis.Redis
) -> None:
    """Threads and tasks get `ProducerClosed`."""
    operation_id = record(ledger)
    closing = Producer(settings)

    async def wait_in_a_task() -> None:
        other = AsyncProducer(settings)
        task = asyncio.create_task(other.handle(operation_id).wait(SOON_S))
        await asyncio.sleep(0.1)
        await other.close()
        with pytest.raises(ProducerClosed):
            await task

    with ThreadPoolExecutor(2) as threads:
        ended = threads.submit(closing.handle(operation_id).wait, SOON_S)
        goes_on = threads.submit(producer.handle(operation_id).wait, SOON_S)
        until(lambda: bool(redis_client.pubsub_channels(CHANNELS)))
        closing.close()
        asyncio.run(wait_in_a_task())

        with pytest.raises(ProducerClosed):
            ended.result(SOON_S)
        finish(ledger, operation_id)
        assert goes_on.result(SOON_S).state is State.CANCELLED


def test_a_closed_producer_is_an_error_to_use(settings: Settings, ledger: Ledger) -> None:
    """Every method, those of its handles and of its campaigns too; closing twice is none."""
    producer = Producer(settings)
    handle, campaigns = producer.handle(record(ledger)), producer.campaigns
    producer.send_email("ana@example.com")
    producer.close()
    producer.close()
    calls: list[Callable[[], Any]] = [
        lambda: producer.send_email("ana@example.com"),
        lambda: producer.login_with_sms("+4915112345678", "123456"),
        lambda: producer.campaigns,
        campaigns.list,
        handle.outcome,
        handle.state,
        handle.wait,
        handle.redeem,
        handle.cancel,
    ]
    for call in calls:
        with pytest.raises(ProducerClosed):
            call()

    assert ledger.outcome(handle.operation_id).state is State.QUEUED


def test_closing_amid_calls_of_other_threads_raises_nothing_foreign(settings: Settings, ledger: Ledger) -> None:
    """They get their answer, or `ProducerClosed`."""
    operation_id = record(ledger)
    for _ in range(5):
        producer = Producer(settings)
        handle = producer.handle(operation_id)
        begun = threading.Barrier(9)

        def use(handle: Any = handle, begun: threading.Barrier = begun) -> str:
            begun.wait()
            try:
                for _ in range(1000):
                    handle.state()
            except Exception as failure:  # noqa: BLE001 - the test compares its name
                return type(failure).__name__
            return "answers"

        with ThreadPoolExecutor(8) as threads:
            used = [threads.submit(use) for _ in range(8)]
            begun.wait()
            time.sleep(0.02)
            producer.close()

            assert {one.result() for one in used} <= {"answers", "ProducerClosed"}


def test_producers_of_two_redis_databases_wait_side_by_side(
    settings: Settings, make_settings: Callable[..., Settings], ledger: Ledger
) -> None:
    """Each wait gets its own outcome; closing one producer does not affect the other."""
    url = settings.redis_url.get_secret_value()
    elsewhere = make_settings(redis_url=f"{url.removesuffix('/0')}/1")
    with Producer(settings) as one, connect(elsewhere) as client, ThreadPoolExecutor(2) as threads:
        there = ledger_at(client, elsewhere)
        here_id, there_id = record(ledger), record(there)
        waiting = threads.submit(one.handle(here_id).wait, SOON_S)
        with Producer(elsewhere) as other:
            also = threads.submit(other.handle(there_id).wait, SOON_S)
            finish(there, there_id)
            assert also.result().state is State.CANCELLED
        finish(ledger, here_id)

        assert waiting.result().state is State.CANCELLED


FORKING = """
import os, sys, threading
from gatepost import Producer, Settings
producer = Producer(Settings(redis_url=sys.argv[1], sealing_keys=sys.argv[2], fingerprint_key="k" * 32))
try:
    producer.handle(sys.argv[3]).wait(0.5)
except TimeoutError:
    pass
assert any(thread.name == "gatepost-waits" for thread in threading.enumerate())
child = os.fork()
if child == 0:
    os.write(1, f"child {producer.handle(sys.argv[3]).wait(120).state}\\n".encode())
    producer.close()
    os._exit(0)
os.write(1, f"parent {producer.handle(sys.argv[3]).wait(120).state}\\n".encode())
os.waitpid(child, 0)
producer.close()
"""


def test_a_forked_child_waits_with_its_own_thread(
    settings: Settings, ledger: Ledger, redis_client: redis.Redis
) -> None:
    """The parent's wait continues."""
    operation_id = record(ledger)
    url, key = settings.redis_url.get_secret_value(), settings.sealing_keys[0].get_secret_value()
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, url, key, operation_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        until(lambda: redis_client.pubsub_numsub(KEYS.operation(operation_id))[0][1] == 2)
        finish(ledger, operation_id)
        output, _ = process.communicate(timeout=SOON_S)

    assert sorted(output.split()) == ["cancelled", "cancelled", "child", "parent"]
    assert process.returncode == 0
