"""Workers that are ended under load, run out of memory, are suspended, wait for a server that never answers, or have a wrong clock."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost import Producer, State
from gatepost_core.broker.messages import operation_message
from gatepost_core.broker.publishing import publish
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel, Queue
from gatepost_core.reasons import Reason
from support.chaos_accounts import account_of_campaign, account_of_logins, account_of_sends
from support.chaos_stack import ALL_QUEUES, fault
from support.guests import address
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost import Handle
    from support.chaos_stack import ChaosStack
    from support.stack import Program

LONG = pytest.mark.chaos_long


@pytest.fixture
def broker(ward: ChaosStack) -> str:
    """A broker whose messages only a struck worker takes; the ledger is the ward's."""
    return ward.broker_apart()


@pytest.fixture
def apart(ward: ChaosStack, broker: str) -> Iterator[Producer]:
    """A producer for that broker."""
    with Producer(ward.settings.model_copy(update={"broker_url": SecretStr(broker)})) as ready:
        yield ready


def started(producer: Producer, recipients: list[str]) -> str:
    """Start a campaign for these people."""
    campaign_id = producer.campaigns.create("chaos")
    rows = [Row(number + 1, Channel.EMAIL, recipient) for number, recipient in enumerate(recipients)]
    producer.campaigns.add(campaign_id, rows)
    producer.campaigns.start(campaign_id)
    return campaign_id


def ended(handles: dict[str, Handle]) -> bool:
    return all(handle.state().is_terminal for handle in handles.values())


def ids(handles: dict[str, Handle]) -> dict[str, str]:
    return {recipient: handle.operation_id for recipient, handle in handles.items()}


@pytest.mark.parametrize("people", [60, pytest.param(2000, marks=LONG)])
def test_sigterm_under_load_leaves_nothing_unknown(
    ward: ChaosStack, producer: Producer, people: int, record: Callable[..., None]
) -> None:
    """A deployment ends one of two workers in the middle of a campaign and of single sends; the other continues."""
    control = ward.simulator.control
    leaving = ward.worker(ALL_QUEUES)
    slow = control.script_fault(endpoint="/passwordless/start", when="after", delay_s=0.03, count=0)
    before = control.counts()["total"]
    try:
        campaign_id = started(producer, [address() for _ in range(people)])
        handles = {recipient: producer.send_email(recipient) for recipient in (address() for _ in range(people))}
        ward.until(lambda: control.counts()["total"] - before > people // 4, "the load is under way", leaving)

        leaving.terminate()
        assert leaving.wait(120) == 0
        ward.until_swept(lambda: ended(handles), "every send has ended", timeout=120)
        ward.until_swept(lambda: not producer.campaigns.status(campaign_id).open, "the campaign has ended", timeout=120)
    finally:
        control.clear_faults(slow)

    with ward.redis() as client:
        account = account_of_sends(client, control, ids(handles))
    account += account_of_campaign(producer.campaigns, control, campaign_id)
    record("SIGTERM under load", account)
    assert account.states == {State.ACCEPTED: 2 * people}
    account.assert_holds()


def test_no_memory_at_one_point_costs_one_operation_at_most(
    ward: ChaosStack, apart: Producer, broker: str, record: Callable[..., None]
) -> None:
    """MemoryError before and after `begin`, before `settle`, and in a batch; the worker continues."""
    points = ["before begin", "after begin", "before settle", "before settle-rows"]
    worker = ward.struck(*[fault("memory", point) for point in points], GATEPOST_BROKER_URL=broker)
    handles: dict[str, Handle] = {}
    for number, point in enumerate(points[:3]):
        recipient = address()
        handles[recipient] = apart.send_email(recipient)
        ward.until(lambda point=point: f"memory at {point}" in worker.output(), point, worker)  # type: ignore[misc] # mypy does not infer a lambda with a default
        assert number < 3
    campaign_id = started(apart, [address() for _ in range(3)])
    ward.until(lambda: "memory at before settle-rows" in worker.output(), "the batch is struck", worker)
    after = apart.send_email(address()).result(120)

    ward.until_swept(lambda: ended(handles), "every send has ended")
    ward.until_swept(lambda: not apart.campaigns.status(campaign_id).open, "the campaign has ended")
    worker.terminate()
    with ward.redis() as client:
        account = account_of_sends(client, ward.simulator.control, ids(handles))
    account += account_of_campaign(apart.campaigns, ward.simulator.control, campaign_id)
    record("MemoryError in a worker", account, injected=len(points))

    assert after.state is State.ACCEPTED
    assert [handle.state() for handle in handles.values()] == [State.ACCEPTED, State.UNKNOWN, State.UNKNOWN]
    account.assert_holds()


@pytest.mark.parametrize("people", [20, pytest.param(500, marks=LONG)])
def test_a_worker_without_memory_loses_nothing(
    ward: ChaosStack, apart: Producer, broker: str, people: int, record: Callable[..., None]
) -> None:
    """RLIMIT_AS takes all further memory away in the middle of an attempt; in the end the kernel's killer comes."""
    worker = ward.struck(fault("famine", "after begin"), GATEPOST_BROKER_URL=broker)
    handles = {recipient: apart.send_email(recipient) for recipient in (address() for _ in range(people))}
    ward.until(lambda: "famine at after begin" in worker.output(), "the memory is taken away", worker)
    if worker.process.poll() is None:
        worker.kill()

    ward.until_swept(lambda: ended(handles), "every send has ended", timeout=120)
    with ward.redis() as client:
        account = account_of_sends(client, ward.simulator.control, ids(handles))
    record("RLIMIT_AS in a worker", account)
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN}
    account.assert_holds()


def test_calls_that_hang_free_their_slots(ward: ChaosStack, producer: Producer, record: Callable[..., None]) -> None:
    """More hung calls than slots: after the total deadline each is `unknown`, and the next one has its turn."""
    slots = int(ward.environment["GATEPOST_CONCURRENCY"])
    hung = {recipient: producer.send_email(recipient) for recipient in (address("hang-after") for _ in range(slots))}
    sound = {recipient: producer.send_email(recipient) for recipient in (address() for _ in range(slots))}
    # Every slot is taken, also the one for the reconciler, which this test does not need.
    for handle in [*hung.values(), *sound.values()]:
        handle.wait(120)

    with ward.redis() as client:
        account = account_of_sends(client, ward.simulator.control, ids(hung | sound))
    record("hung calls", account, injected=slots)
    assert {handle.outcome().reason for handle in hung.values()} == {Reason.ANSWER_LOST}
    assert {handle.state() for handle in sound.values()} == {State.ACCEPTED}
    account.assert_holds()


def test_a_worker_that_was_suspended_past_its_lease_changes_nothing_afterwards(
    ward: ChaosStack, producer: Producer, apart: Producer, broker: str, record: Callable[..., None]
) -> None:
    """Stopped between `begin` and the write, with a send, a login and a batch. Its late sends were `unknown` before."""
    control = ward.simulator.control
    logs_in, sent_to, rows = address(), address(), [address() for _ in range(3)]
    producer.send_email(logs_in).result(120)
    worker = ward.struck(fault("freeze", "after begin", "after begin", "after begin-rows"), GATEPOST_BROKER_URL=broker)
    send = apart.send_email(sent_to)
    login = apart.login_with_email(logs_in, control.latest_code(logs_in), scope="openid")
    campaign_id = started(apart, rows)
    ward.until(lambda: stands_still(worker), "the worker stands still", worker)
    both = {sent_to: send, logs_in: login}
    ward.until_swept(lambda: ended(both), "its operations are given up")
    ward.until_swept(lambda: not apart.campaigns.status(campaign_id).open, "its batch is given up")

    worker.process.send_signal(signal.SIGCONT)
    ward.until(lambda: all(reported(worker, handle) for handle in both.values()), "both attempts are over", worker)
    ward.until(lambda: "batch.lease_lost" in worker.output(), "the batch is left alone", worker)
    worker.terminate()

    with ward.redis() as client:
        account = account_of_sends(client, control, {sent_to: send.operation_id})
        account += account_of_logins(client, control, {logs_in: login.operation_id})
    account += account_of_campaign(apart.campaigns, control, campaign_id)
    record("worker stopped past its lease", account)
    assert {handle.outcome().reason for handle in both.values()} == {Reason.WORKER_LOST}
    account.assert_holds()


def reported(worker: Program, handle: Handle) -> bool:
    """Whether the worker has logged the end of its attempt, and an answer that came as a late one."""
    lines = [line for line in worker.output().splitlines() if handle.operation_id in line]
    ends = [line for line in lines if "attempt.finished" in line and "worker_lost" in line]
    answered = [line for line in ends if '"http_status": 200' in line]
    return bool(ends) and len(answered) == sum("attempt.late" in line for line in lines)


def stands_still(worker: Program) -> bool:
    status = Path(f"/proc/{worker.process.pid}/stat").read_text(encoding="utf-8")
    return status.rpartition(")")[2].split()[0] == "T"


def test_a_clock_that_jumps_in_a_worker_ends_nothing_early_or_twice(
    ward: ChaosStack, producer: Producer, apart: Producer, broker: str, record: Callable[..., None]
) -> None:
    """An hour forward at the first `begin`, two back at the first `settle`: leases and deadlines are by Redis's clock.

    An id_token is checked by the worker's own clock, so the login may end as `rejected`; it is not exchanged twice.
    """
    control = ward.simulator.control
    worker = ward.struck(
        fault("jump", "before begin", seconds=3600),
        fault("jump", "before settle", seconds=-7200),
        GATEPOST_BROKER_URL=broker,
    )
    logs_in = address()
    producer.send_email(logs_in).result(120)
    sends = {recipient: apart.send_email(recipient) for recipient in (address(tag) for tag in ["", "", "429-once", ""])}
    login = apart.login_with_email(logs_in, control.latest_code(logs_in), scope="openid")
    ward.until_swept(lambda: ended({**sends, logs_in: login}), "all have ended")
    worker.terminate()

    with ward.redis() as client:
        account = account_of_sends(client, control, ids(sends))
        account += account_of_logins(client, control, {logs_in: login.operation_id})
    record("clock jumps in a worker", account, injected=2)
    assert {handle.state() for handle in sends.values()} == {State.ACCEPTED}
    assert login.outcome().reason in {None, Reason.TOKEN_INVALID}
    account.assert_holds()


def test_a_message_dated_by_a_clock_that_is_ahead_delays_nothing(
    ward: ChaosStack, producer: Producer, record: Callable[..., None]
) -> None:
    """A worker whose clock is an hour ahead asks for an hour too much; the reconciler publishes the operation again."""
    recipient = address()
    nowhere = ward.settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")})
    with Producer(nowhere) as cut_off:
        operation_id = cut_off.send_email(recipient).operation_id
    handle = producer.handle(operation_id)
    kind = handle.outcome().kind
    publish(producer.app, kind.task, kind.queue, operation_id, operation_message(operation_id), countdown=3600)

    ward.until_swept(lambda: ended({recipient: handle}), "the send has ended")
    with ward.redis() as client:
        account = account_of_sends(client, ward.simulator.control, {recipient: operation_id})
    record("message dated an hour ahead", account)
    assert handle.state() is State.ACCEPTED
    account.assert_holds()


def test_the_reconciler_runs_although_the_schedulers_clock_is_behind(ward: ChaosStack) -> None:
    """The scheduler's message expires by the worker's clock; a minute between the two must not stop all repairs."""
    app = import_module("gatepost_worker.celery").create(ward.settings)
    schedule = app.conf.beat_schedule["reconcile"]
    with ward.redis() as client:
        client.delete("gatepost:reconciler:last")
        expires = datetime.now(UTC) + timedelta(seconds=schedule["options"]["expires"] - 60)
        app.send_task(schedule["task"], queue=KEYS.queue(Queue.LOGIN), expires=expires)

        ward.until(lambda: client.exists("gatepost:reconciler:last") == 1, "the reconciler has run")
    app.close()
