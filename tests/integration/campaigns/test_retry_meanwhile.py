"""Retried rows: the lists still apply, and a possible earlier send is not forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from support.campaign_parts import email, rows

if TYPE_CHECKING:
    from gatepost_simulator.server import SimulatorServer
    from support.campaign_parts import Bench

PEOPLE = 20
LISTED = [email(number) for number in range(PEOPLE, PEOPLE + 5)]


def retry_amid_the_batch(bench: Bench, campaign_id: str, state: State) -> None:
    """Let an operator retry at the first moment at which the batch is leased, screened, and has begun rows."""
    asked: list[Any] = []

    def meanwhile(_key: str, _written: Any) -> bool:
        if not asked:
            asked.append(bench.campaigns.retry(campaign_id, [state]))
        return True

    bench.runner.replicated = meanwhile
    message = bench.take()
    assert message is not None
    bench.runner.run(message["campaign_id"], message["batch"])
    assert asked


@pytest.mark.parametrize("listed", ["suppressed", "no guests"])
def test_rows_retried_while_their_batch_is_leased_are_screened_again(
    bench: Bench, simulator: SimulatorServer, listed: str
) -> None:
    """People who are still on the list, or no guests, are suppressed again; people taken off the list meanwhile get a message."""
    guests = [email(number) for number in range(PEOPLE)] if listed == "no guests" else None
    if guests is None:
        for recipient in LISTED:
            bench.campaigns.suppressions.add(recipient)
    campaign_id = bench.start(rows(PEOPLE + len(LISTED)), guest_list=guests)
    if guests is None:
        # As the worker sees it at its claim, all of them are on the list.
        original = bench.campaigns.retry

        def taken_off_and_retried(campaign: str, states: list[State]) -> Any:
            bench.campaigns.suppressions.remove(LISTED[0])
            return original(campaign, states)

        bench.campaigns.retry = taken_off_and_retried  # type: ignore[method-assign,assignment]

    retry_amid_the_batch(bench, campaign_id, State.SUPPRESSED)
    bench.work()

    taken_off = guests is None
    counts = bench.status(campaign_id).counts
    assert (counts[State.ACCEPTED], counts[State.SUPPRESSED]) == (PEOPLE + taken_off, len(LISTED) - taken_off)
    assert simulator.control.counts_of(LISTED[1:]) == dict.fromkeys(LISTED[1:], 0)
    assert simulator.control.count(LISTED[0]) == taken_off


def sent_in_doubt(bench: Bench) -> tuple[str, str]:
    """A campaign whose first recipient is `unknown` after one message, and was retried just now."""
    recipient = "person0+503-after@example.com"
    campaign_id = bench.start([Row(1, Channel.EMAIL, recipient), *rows(2, 1)])
    assert bench.work() == {State.ACCEPTED: 2, State.UNKNOWN: 1}
    bench.campaigns.retry(campaign_id, [State.UNKNOWN])
    assert bench.status(campaign_id).counts[State.QUEUED] == 1
    return campaign_id, recipient


def test_an_unknown_row_that_is_retried_is_sent_to_again(bench: Bench, simulator: SimulatorServer) -> None:
    """The operator asked for it."""
    campaign_id, recipient = sent_in_doubt(bench)

    bench.sweep.run()
    bench.work()

    assert simulator.control.count(recipient) == 2
    assert bench.status(campaign_id).counts[State.UNKNOWN] == 1


def test_an_unknown_row_that_is_retried_and_cancelled_does_not_say_that_nothing_was_sent(bench: Bench) -> None:
    """What made it unknown still holds."""
    campaign_id, recipient = sent_in_doubt(bench)

    bench.campaigns.cancel(campaign_id)
    bench.sweep.run()

    report = bench.campaigns.show(campaign_id, recipient)
    assert report is not None
    assert (report.state, report.reason) == (State.UNKNOWN, Reason.SERVER_FAILED)
    assert bench.status(campaign_id).counts[State.CANCELLED] == 0
