"""The acceptance tests of the Redis broker, over RabbitMQ: every outcome, and the faults that are not about Redis lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from acceptance.operations.test_faults import (
    test_a_doubled_message_sends_once,
    test_a_restarted_valkey_loses_nothing_and_doubles_nothing,
    test_a_timeout_after_the_write_sends_no_second_message,
    test_a_worker_killed_between_write_and_settle_leaves_unknown_and_no_second_message,
    test_sigterm_finishes_what_is_under_way_and_leaves_the_rest,
    test_the_counts_of_the_ledger_and_the_outbox_agree_after_all,
)
from acceptance.operations.test_outcomes import (
    control,
    test_a_429_defers_and_spends_no_attempt,
    test_a_login_by_email_gives_its_token_set_once,
    test_a_login_by_sms_gives_its_token_set,
    test_a_login_past_its_deadline_expires,
    test_a_second_factor_hands_over_its_challenge_once,
    test_an_email_is_sent_once_and_accepted,
    test_an_sms_is_sent_once_and_accepted,
    test_each_class_of_a_logins_failure_comes_back_typed,
    test_each_class_of_a_sends_failure_comes_back_typed,
    test_the_asyncio_producer_does_the_same,
    test_the_caller_may_choose_to_resend_what_is_unknown,
    test_the_celery_result_of_a_login_is_sealed,
    test_the_same_idempotency_key_sends_once,
)
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.chaos_stack import ChaosStack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost import Producer
    from gatepost_simulator.server import SimulatorServer
    from support.chaos_rabbitmq import RabbitMQ

pytestmark = pytest.mark.chaos_long

__all__ = [
    "control",
    "test_a_429_defers_and_spends_no_attempt",
    "test_a_doubled_message_sends_once",
    "test_a_login_by_email_gives_its_token_set_once",
    "test_a_login_by_sms_gives_its_token_set",
    "test_a_login_past_its_deadline_expires",
    "test_a_restarted_valkey_loses_nothing_and_doubles_nothing",
    "test_a_second_factor_hands_over_its_challenge_once",
    "test_a_timeout_after_the_write_sends_no_second_message",
    "test_a_worker_killed_between_write_and_settle_leaves_unknown_and_no_second_message",
    "test_an_email_is_sent_once_and_accepted",
    "test_an_sms_is_sent_once_and_accepted",
    "test_each_class_of_a_logins_failure_comes_back_typed",
    "test_each_class_of_a_sends_failure_comes_back_typed",
    "test_sigterm_finishes_what_is_under_way_and_leaves_the_rest",
    "test_the_asyncio_producer_does_the_same",
    "test_the_caller_may_choose_to_resend_what_is_unknown",
    "test_the_celery_result_of_a_login_is_sealed",
    "test_the_counts_of_the_ledger_and_the_outbox_agree_after_all",
    "test_the_same_idempotency_key_sends_once",
]


@pytest.fixture(scope="module")
def running(
    rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer
) -> Iterator[ChaosStack]:
    """A stack over RabbitMQ with one worker and the scheduler, as the acceptance tests have it over Redis."""
    rabbitmq.forget_messages()
    simulator_server.control.reset()
    directory = tmp_path_factory.mktemp("running")
    with (
        EmbeddedValkey(directory / "valkey") as valkey,
        ChaosStack(valkey, simulator_server, directory, rabbitmq=rabbitmq) as stack,
    ):
        stack.worker()
        stack.beat()
        yield stack


@pytest.fixture
def producer(running: ChaosStack) -> Iterator[Producer]:
    with running.producer() as ready:
        yield ready


@pytest.fixture
def stack(stack_on_rabbitmq: ChaosStack) -> ChaosStack:
    """A stack for a test that starts, and ends, its own workers."""
    stack_on_rabbitmq.simulator.control.reset()
    return stack_on_rabbitmq
