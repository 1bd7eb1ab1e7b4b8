"""Recipients whose second send fails after a lost answer: the first one stays unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tenacity import wait_fixed

from gatepost_core.campaigns.row import Row
from gatepost_core.campaigns.wire_format import Record
from gatepost_core.commands import OnUnknown
from gatepost_core.kinds import Channel
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.delivery.policy import RetryLimits
from support.campaign_parts import email, rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_simulator.server import SimulatorServer
    from support.campaign_parts import Bench


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A bench that waits so long before it sends again that something else comes first."""
    made = make_bench()
    made.runner.limits = RetryLimits(backoff=wait_fixed(60))
    return made


def sent_once(bench: Bench, tag: str = "503-after") -> tuple[str, str]:
    """A campaign of which one recipient's answer was lost, and two more were sent to."""
    recipient = f"person0+{tag}@example.com"
    campaign_id = bench.start([Row(1, Channel.EMAIL, recipient), *rows(2, 1)], on_unknown=OnUnknown.RESEND)
    message = bench.take()
    assert message is not None
    bench.runner.run(message["campaign_id"], message["batch"])
    assert bench.status(campaign_id).counts[State.QUEUED] == 1
    return campaign_id, recipient


def assert_unknown(bench: Bench, campaign_id: str, recipient: str) -> None:
    report = bench.campaigns.show(campaign_id, recipient)
    assert report is not None
    assert (report.state, report.reason, report.attempts) == (State.UNKNOWN, Reason.SERVER_FAILED, 1)
    counts = bench.status(campaign_id).counts
    assert (counts[State.ACCEPTED], counts[State.UNKNOWN]) == (2, 1)


def test_a_cancelled_campaign_does_not_say_that_nothing_was_sent(bench: Bench, simulator: SimulatorServer) -> None:
    """Who got the first message is `unknown`, not `cancelled`."""
    campaign_id, recipient = sent_once(bench)

    bench.campaigns.cancel(campaign_id)
    bench.sweep.run()

    assert_unknown(bench, campaign_id, recipient)
    assert simulator.control.count(recipient) == 1


def test_a_deadline_does_not_say_that_nothing_was_sent(bench: Bench) -> None:
    """Nor is it `expired`."""
    campaign_id, recipient = sent_once(bench)

    bench.campaigns.change_deadline(campaign_id, datetime.now(UTC) - timedelta(seconds=1))
    bench.sweep.run()

    assert_unknown(bench, campaign_id, recipient)


def test_the_suppression_list_does_not_say_it_either(bench: Bench) -> None:
    """Suppressed after the first message: no second one, and no claim about the first."""
    campaign_id, recipient = sent_once(bench)
    bench.campaigns.suppressions.add(recipient)
    bench.redis.zadd(f"gatepost:campaign:{campaign_id}:waiting", {"0": 0})

    bench.runner.run(campaign_id, 0)

    assert_unknown(bench, campaign_id, recipient)


def test_a_refusal_of_the_second_does_not_say_it_either(bench: Bench, simulator: SimulatorServer) -> None:
    """The answer to the second message is no answer to the first."""
    bench.runner.limits = RetryLimits(backoff=wait_fixed(0))
    recipient = "person0+503-after-once@example.com"
    simulator.control.script_fault(recipient=recipient, when="after", status=503)
    simulator.control.script_fault(recipient=recipient, status=400, error="bad.email")
    campaign_id = bench.start([Row(1, Channel.EMAIL, recipient)], on_unknown=OnUnknown.RESEND)

    assert bench.work() == {State.UNKNOWN: 1}

    report = bench.campaigns.show(campaign_id, recipient)
    assert report is not None
    assert (report.reason, report.attempts) == (Reason.SERVER_FAILED, 2)
    assert simulator.control.count(recipient) == 1


MAY_HAVE_BEEN_SENT = [
    Reason.ANSWER_LOST,
    Reason.SERVER_FAILED,
    Reason.PROVIDER_SILENT,
    Reason.WORKER_LOST,
    Reason.ANSWER_NOT_UNDERSTOOD,
    Reason.BACKUP_RESTORED,
]


@pytest.mark.parametrize("doubt", MAY_HAVE_BEEN_SENT)
def test_a_queued_row_that_may_have_been_sent_is_not_cancelled(
    campaigns: Campaigns, redis_client: redis.Redis, doubt: Reason
) -> None:
    """It ends as unknown, for the reason of its earlier attempt; a row that surely was not sent is cancelled."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(2))
    campaigns.start(campaign_id)
    records = [Record(0, doubt, attempts=1), Record(1, Reason.NOT_REACHED, attempts=1)]
    redis_client.hset(KEYS.batch(campaign_id, 0), "details", b"".join(record.pack() for record in records))

    campaigns.cancel(campaign_id)
    told = {one.row.recipient: (one.state, one.reason) for one in campaigns.export(campaign_id)}

    assert told[email(0)] == (State.UNKNOWN, doubt)
    assert told[email(1)] == (State.CANCELLED, Reason.CANCELLED_BY_CALLER)
