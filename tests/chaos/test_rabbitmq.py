"""RabbitMQ as the broker: the same ends, and the same faults."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from chaos_load import Load, address
from chaos_stack import ALL_QUEUES, fault
from gatepost import State
from gatepost import errors as e

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

        account = load.account()
    record("RabbitMQ killed under load, and a worker", account, injected=2)
    assert account.unknown >= 2
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN}
    account.assert_holds()
    assert sound.process.poll() is None


def test_a_login_over_rabbitmq_gives_its_tokens_once(stack: ChaosStack) -> None:
    """The broker carries a reference only; the tokens come through Redis."""
    stack.worker()
    control = stack.simulator.control
    recipient = address()
    with stack.producer() as producer:
        producer.send_email(recipient).result(30)
        handle = producer.login_with_email(recipient, control.latest_code(recipient), scope="openid")
        assert producer.app.AsyncResult(handle.operation_id).get(timeout=30).startswith("eyJ")
        assert handle.redeem(30).id_token is not None
        with pytest.raises(e.NothingToRedeem):
            handle.redeem(1)
        with pytest.raises(e.CodeRejected):
            producer.login_with_email(recipient, "000000").result(30)
