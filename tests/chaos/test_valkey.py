"""Valkey is killed, suspended, full, or cut off in the middle of a script, while work is under way."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost import Producer, State
from gatepost import errors as e
from gatepost_core.kinds import Queue
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from support.chaos_load import Load
from support.chaos_proxy import NO_ANSWER, Proxy
from support.chaos_stack import ALL_QUEUES, ChaosStack
from support.guests import address
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_simulator.server import SimulatorServer

LONG = pytest.mark.chaos_long


@pytest.fixture(scope="module")
def proxy_and_stack(
    tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer
) -> Iterator[tuple[Proxy, ChaosStack]]:
    """A worker that reaches Valkey through a proxy, and goes through all of the module's faults without being started anew."""
    directory = tmp_path_factory.mktemp("shaken")
    with (
        EmbeddedValkey(directory / "valkey") as valkey,
        Proxy(valkey.port) as proxy,
        ChaosStack(valkey, simulator_server, directory) as stack,
    ):
        stack.worker(ALL_QUEUES, GATEPOST_REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0")
        yield proxy, stack


@pytest.fixture
def stack(proxy_and_stack: tuple[Proxy, ChaosStack]) -> Iterator[ChaosStack]:
    """The stack; whatever the test did, its worker still runs afterwards."""
    _, stack = proxy_and_stack
    yield stack
    assert stack.programs[0].process.poll() is None, stack.programs[0].output()


@pytest.fixture
def proxy(proxy_and_stack: tuple[Proxy, ChaosStack]) -> Proxy:
    return proxy_and_stack[0]


@pytest.fixture
def load(stack: ChaosStack) -> Iterator[Load]:
    with stack.producer() as producer:
        yield Load(stack, producer)


def put_to_work(load: Load, people: int, trouble: Callable[[], None] = lambda: None) -> None:
    """Ask for everything, and wait until a part of it is sent. The simulator takes a moment for each, so that much is under way."""
    control = load.stack.simulator.control
    codes = load.prepare_logins(10)
    before = control.counts()["total"]
    trouble()
    control.script_fault(endpoint="/passwordless/start", when="after", delay_s=0.05, count=people)
    load.campaign(people * 2)
    load.send(people)
    load.log_in(codes)
    load.stack.until(lambda: control.counts()["total"] - before > people // 4, "the load is under way")


@pytest.mark.parametrize("people", [40, pytest.param(1000, marks=LONG)])
@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
def test_a_killed_valkey_doubles_nothing(
    load: Load, appendfsync: str, people: int, record: Callable[..., None]
) -> None:
    """SIGKILL under load, and a restart from the append-only file; the worker finds it again by itself."""
    with load.stack.redis() as client:
        client.config_set("appendfsync", appendfsync)
    put_to_work(load, people)

    load.stack.valkey.kill()
    time.sleep(0.3)
    load.stack.valkey.start()
    load.until_ended()

    account = load.account()
    record(f"Valkey killed, appendfsync {appendfsync}", account)
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN}
    account.assert_holds()


@pytest.mark.parametrize(("people", "seconds"), [(40, 7), pytest.param(200, 60, marks=LONG)])
def test_a_valkey_that_is_suspended_past_every_lease_doubles_nothing(
    load: Load, people: int, seconds: int, record: Callable[..., None]
) -> None:
    """SIGSTOP under load for longer than any lease; in the long version, for longer than every repeated time-out."""
    put_to_work(load, people)
    os.kill(load.stack.valkey.pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(load.stack.valkey.pid, signal.SIGCONT)
    load.until_ended()

    account = load.account()
    record("Valkey stopped for longer than the leases", account)
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN}
    account.assert_holds()


def test_a_full_valkey_records_nothing_and_settles_what_is_under_way(load: Load, record: Callable[..., None]) -> None:
    """New commands get a clear error; attempts under way end; with memory again, everything continues."""
    control = load.stack.simulator.control
    slow = [address() for _ in range(3)]
    for recipient in slow:
        control.script_fault(recipient=recipient, when="after", delay_s=1.0)
    for recipient in slow:
        load.sends[recipient] = load.producer.send_email(recipient).operation_id
    load.stack.until(lambda: sum(control.counts_of(slow).values()) == len(slow), "three calls are under way")
    with load.stack.redis() as client:
        client.config_set("maxmemory", 1)
        try:
            before = load.producer.ledger.counts()
            with pytest.raises(e.Unavailable, match="memory is full"):
                load.send(1)
            under_way = [load.producer.handle(load.sends[recipient]) for recipient in slow]
            load.stack.until(lambda: all(one.state() is State.ACCEPTED for one in under_way), "they are settled")
            during = load.producer.ledger.counts()
        finally:
            client.config_set("maxmemory", 0)
    load.campaign(20)
    load.send(20)
    load.until_ended()

    account = load.account()
    record("Valkey full", account)
    assert sum(before.values()) == sum(during.values())
    assert account.states == {State.ACCEPTED: 43}
    account.assert_holds()


def test_a_full_valkey_is_swept_all_the_same(load: Load) -> None:
    """Real beat, real worker, no memory: a lost message's deadline passes, and its operation ends while Redis is still full."""
    stack = load.stack
    elsewhere = stack.settings.model_copy(update={"broker_url": SecretStr(stack.broker_apart())})
    with Producer(elsewhere) as producer, stack.redis() as client:
        lost = producer.send_email(address(), deadline=datetime.now(UTC) + timedelta(seconds=1))
        client.config_set("maxmemory", 1)
        beat = stack.beat()
        try:
            stack.until(lambda: lost.state() is State.EXPIRED, "it is swept", beat)
        finally:
            client.config_set("maxmemory", 0)
            beat.kill()
    load.send(1)
    load.until_ended()

    load.account().assert_holds()


def test_a_message_that_a_full_valkey_cannot_keep_stays_on_its_queue(load: Load) -> None:
    """Malformed, and no memory for a dead letter: the worker continues, and stores the letter later."""
    stack = load.stack
    worker = stack.programs[0]
    with stack.redis() as client, DeadLetterControl(stack.settings) as control:
        worker.process.send_signal(signal.SIGSTOP)
        client.lpush(KEYS.queue(Queue.SEND), "junk")
        client.config_set("maxmemory", 1)
        try:
            worker.process.send_signal(signal.SIGCONT)
            stack.until(lambda: worker.output().count("message.malformed") > 2, "it was taken again and again", worker)
            assert len(control.letters) == 0
        finally:
            client.config_set("maxmemory", 0)
        stack.until(lambda: len(control.letters) == 1, "it is in the dead letters", worker)
        assert client.llen(KEYS.queue(Queue.SEND)) == 0
    load.send(1)
    load.until_ended()


@pytest.mark.chaos_long  # batches rest for half a minute
def test_a_valkey_that_fills_up_under_load_loses_nothing(load: Load, record: Callable[..., None]) -> None:
    """Messages that a worker can neither note nor give back are found again when there is memory."""
    put_to_work(load, 40)
    with load.stack.redis() as client:
        client.config_set("maxmemory", 1)
        time.sleep(3)
        client.config_set("maxmemory", 0)
    load.until_ended()

    account = load.account()
    record("Valkey full under load", account)
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN}
    account.assert_holds()


def test_a_recording_whose_answer_is_lost_is_found_again_by_its_key(load: Load, record: Callable[..., None]) -> None:
    """The error says that it may have been recorded; the operation is carried out, and the same command finds it."""
    recipient = address()
    load.send(1)
    with Proxy(load.stack.valkey.port) as proxy:
        through = SecretStr(f"redis://127.0.0.1:{proxy.port}/0")
        with Producer(load.stack.settings.model_copy(update={"redis_url": through})) as unlucky:
            proxy.cut_at_random(Random(0), 1.0, b"EVALSHA", (NO_ANSWER,))  # noqa: S311 - no secret
            with pytest.raises(e.Unavailable, match="may have been recorded"):
                unlucky.send_email(recipient, idempotency_key=recipient)
        cuts = proxy.cuts
    load.stack.until_swept(lambda: load.stack.simulator.control.count(recipient) == 1, "it is sent all the same")
    load.sends[recipient] = load.producer.send_email(recipient, idempotency_key=recipient).operation_id
    load.until_ended()

    account = load.account()
    record("the answer to a recording lost", account, injected=cuts)
    assert account.states == {State.ACCEPTED: 2}
    account.assert_holds()


@pytest.mark.parametrize("people", [40, pytest.param(2000, marks=LONG)])
def test_connections_cut_in_the_middle_of_scripts_double_nothing(
    load: Load, proxy: Proxy, people: int, record: Callable[..., None]
) -> None:
    """Half a request, a request without its answer, half an answer: redis-py repeats the call, and the script answers the same."""
    cuts = proxy.cuts
    seeded = Random(people)  # noqa: S311 - a seed, no secret
    try:
        put_to_work(load, people, lambda: proxy.cut_at_random(seeded, 0.1, b"EVALSHA"))
        load.until_ended(timeout=60 + people / 10)
    finally:
        proxy.cut_no_more()

    account = load.account()
    record("connection cut amid a script", account, injected=proxy.cuts - cuts)
    assert proxy.cuts > cuts
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN}
    account.assert_holds()
