"""A failover by three real Sentinels, for the ledger, the broker and Celery's results at once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from gatepost import State
from support.chaos_load import Load
from support.chaos_sentinels import DATABASE, MASTER, Sentinels
from support.chaos_stack import ALL_QUEUES, ChaosStack
from support.guests import address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost_simulator.server import SimulatorServer


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    directory = tmp_path / "sentinels"
    directory.mkdir()
    with Sentinels(directory) as group:
        yield group


@pytest.fixture
def stack(sentinels: Sentinels, tmp_path: Path, simulator_server: SimulatorServer) -> Iterator[ChaosStack]:
    """A stack that knows nothing but the Sentinels."""
    simulator_server.control.reset()
    environment = {"GATEPOST_REDIS_URL": sentinels.url, "GATEPOST_SENTINEL_MASTER": MASTER}
    with ChaosStack(sentinels.servers[0], simulator_server, tmp_path, environment) as running:
        yield running


def test_after_a_failover_everything_continues_by_itself(
    sentinels: Sentinels, stack: ChaosStack, record: Callable[..., None]
) -> None:
    """Replicas are in step, the master is killed under load: worker, producer and results find the new one."""
    stack.worker(ALL_QUEUES)
    with stack.producer() as producer:
        load = Load(stack, producer)
        codes = load.prepare_logins(5)
        stack.simulator.control.script_fault(endpoint="/passwordless/start", when="after", delay_s=0.05, count=20)
        load.campaign(60)
        load.send(20)
        load.log_in(codes)
        sentinels.fail_over()
        load.until_ended()
        recipient = address()
        handle = producer.send_email(recipient)
        load.sends[recipient] = handle.operation_id
        assert handle.result(120).state is State.ACCEPTED
        assert producer.app.AsyncResult(handle.operation_id).get(timeout=120) is None

        account = load.account()
    record("failover by Sentinels", account)
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN}
    account.assert_holds()
    assert sentinels.databases_in_use() == {f"db{DATABASE}"}


@pytest.mark.parametrize("wait_replicas", [1, pytest.param(0, marks=pytest.mark.chaos_long)])
def test_an_attempt_that_no_replica_has_is_sent_twice_unless_attempts_wait_for_one(
    sentinels: Sentinels, stack: ChaosStack, wait_replicas: int, record: Callable[..., None]
) -> None:
    """The replicas lag, the master is lost: without GATEPOST_WAIT_REPLICAS this is the documented limit, with it nothing leaves."""
    stack.worker(ALL_QUEUES, GATEPOST_WAIT_REPLICAS=str(wait_replicas))
    control = stack.simulator.control
    with stack.producer() as producer:
        load = Load(stack, producer)
        # The quota is known: or else the first who waits for replicas would hold the few permits there are.
        load.prepare_logins(1)
        before = control.counts()["total"]
        # The replicas have them as recorded, not as begun: no worker may take them yet.
        stack.programs[0].process.send_signal(signal.SIGSTOP)
        load.send(3)
        load.campaign(3)
        sentinels.until_in_step()
        sentinels.part_replicas()
        stack.programs[0].process.send_signal(signal.SIGCONT)
        if wait_replicas:
            stack.until(lambda: "replicas have the attempt" in stack.output(), "a send waits for replicas")
            stack.until(lambda: "batch.not_replicated" in stack.output(), "the campaign waits for replicas")
            assert control.counts()["total"] == before
        else:
            stack.until(lambda: control.counts()["total"] == before + 6, "everything is sent")
            stack.until(lambda: load.open == 0, "everything is settled, on the master alone")
        sentinels.fail_over()
        load.until_ended()

        account = load.account()
    record(f"failover while replicas lag, GATEPOST_WAIT_REPLICAS={wait_replicas}", account)
    assert len(account.doubled) == (0 if wait_replicas else 6)
    assert account.states == {State.ACCEPTED: 6}
