"""RabbitMQ as the broker: the same ends, and the same faults."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from chaos_load import Load, address
from chaos_stack import ALL_QUEUES, fault
from gatepost import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos_rabbitmq import RabbitMQ
    from chaos_stack import ChaosStack


@pytest.fixture
def stack(stack_on_rabbitmq: ChaosStack) -> ChaosStack:
    """Over RabbitMQ, with a simulator that has forgotten everything."""
    stack_on_rabbitmq.simulator.control.reset()
    return stack_on_rabbitmq


def test_sends_logins_and_campaigns_survive_a_killed_worker_and_a_killed_broker(
    stack: ChaosStack, rabbitmq: RabbitMQ, record: Callable[..., None]
) -> None:
    """One worker dies amid its attempts, then RabbitMQ is killed under load and comes back; the other worker goes on."""
    struck = stack.struck(fault("kill", "before settle", "before settle"), queues="gatepost.login,gatepost.send")
    with stack.producer() as producer:
        load = Load(stack, producer)
        load.send(2)
        assert struck.wait(60) == -signal.SIGKILL
        sound = stack.worker(ALL_QUEUES)
        codes = load.prepare_logins(3)
        control = stack.simulator.control
        control.script_fault(endpoint="/passwordless/start", when="after", delay_s=0.05, count=30)
        load.campaign(60)
        load.send(20)
        load.log_in(codes)

        rabbitmq.kill()
        late = address()
        load.sends[late] = producer.send_email(late).operation_id
        rabbitmq.start()
        load.until_ended()

        accepted = [one for one in load.logins.values() if producer.handle(one).state() is State.ACCEPTED]
        assert all(producer.app.AsyncResult(one).get(timeout=30).startswith("eyJ") for one in accepted)
        assert all(producer.handle(one).redeem(1).id_token for one in accepted)
        account = load.account()
    record("RabbitMQ killed under load, and a worker", account, injected=2)
    assert account.unknown >= 2
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN}
    account.assert_holds()
    assert sound.process.poll() is None
