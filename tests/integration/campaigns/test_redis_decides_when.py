"""Sending hours and `start_at` follow Redis's clock: the clock of a worker or of the starting machine may be wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.hours import SendingHours
from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.kinds import Channel
from gatepost_core.redis.keys import SERVER_CLOCK
from gatepost_core.states import State
from gatepost_worker.bulk.store import BatchStore
from support.campaign_parts import rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost_simulator.server import SimulatorServer
    from support.campaign_parts import Bench

APART = timedelta(hours=6)
PEOPLE = 10


def apart(bench: Bench, ahead: timedelta) -> Bench:
    """Let Redis's clock be ahead of this machine's, which is then as far behind it."""
    clock = f"{SERVER_CLOCK}now_us = now_us + {ahead // timedelta(microseconds=1)}\n"
    bench.campaigns.store = CampaignStore(bench.redis, KEYS, republish_after_s=5, clock=clock)
    bench.runner.store = BatchStore(bench.redis, KEYS, republish_after_s=5, clock=clock)
    return bench


def hours_around(moment: datetime) -> SendingHours:
    """Hours that open an hour before the moment and close an hour after it."""
    first, last = ((moment + timedelta(hours=at)).time().replace(second=0, microsecond=0) for at in (-1, 1))
    return SendingHours(first, last, "UTC")


def taken(bench: Bench, people: Iterable[Row] = (), **options: object) -> str:
    """A campaign whose first batch lay on the queue, and is in a worker's hands now."""
    campaign_id = bench.campaigns.create("spring", Options.model_validate(options))
    bench.campaigns.add(campaign_id, people or rows(PEOPLE))
    bench.campaigns.store.start(campaign_id, None)
    for batch, _ in bench.campaigns.store.feed(campaign_id):
        bench.runner.run(campaign_id, batch)
    return campaign_id


@pytest.mark.parametrize("ahead", [APART, -APART], ids=["a worker that is behind", "a worker that is ahead"])
def test_hours_that_are_over_by_a_wrong_clock_alone_are_kept(bench: Bench, ahead: timedelta) -> None:
    """The worker's own clock says that they are closed; by Redis's they are open, and everybody is sent to."""
    campaign_id = taken(apart(bench, ahead), hours=hours_around(datetime.now(UTC) + ahead))

    assert bench.status(campaign_id).counts[State.ACCEPTED] == PEOPLE


@pytest.mark.parametrize("ahead", [APART, -APART], ids=["a worker that is behind", "a worker that is ahead"])
def test_a_batch_taken_outside_the_hours_goes_back(bench: Bench, simulator: SimulatorServer, ahead: timedelta) -> None:
    """The message lay on the queue until the hours were over, or a wrong clock says that they are open: the batch waits."""
    now = datetime.now(UTC)
    hours = hours_around(now)
    campaign_id = taken(apart(bench, ahead), hours=hours)
    campaign = bench.status(campaign_id)

    assert campaign.counts[State.QUEUED] == PEOPLE
    assert campaign.rests_until is not None
    assert abs(campaign.rests_until - hours.next_opening(now + ahead)) < timedelta(minutes=1)
    assert simulator.control.counts()["total"] == 0


def test_nothing_leaves_before_the_start_although_a_workers_clock_is_ahead(
    bench: Bench, simulator: SimulatorServer
) -> None:
    """By the worker's clock the campaign should have begun hours ago."""
    start_at = datetime.now(UTC) - APART / 2
    campaign_id = taken(apart(bench, -APART), start_at=start_at)
    rests_until = bench.status(campaign_id).rests_until

    assert simulator.control.counts()["total"] == 0
    assert rests_until is not None
    assert abs(rests_until - start_at) < timedelta(seconds=5)


def test_a_campaign_begins_although_a_workers_clock_is_behind(bench: Bench) -> None:
    """By the worker's clock it should begin in hours."""
    campaign_id = taken(apart(bench, APART), start_at=datetime.now(UTC) + APART - timedelta(seconds=1))

    assert bench.status(campaign_id).counts[State.ACCEPTED] == PEOPLE


def test_when_a_campaign_opens_is_not_for_the_starters_clock_to_say(bench: Bench) -> None:
    """Started within the hours, it does not rest until tomorrow because the machine it is started from is behind, or ahead."""
    apart(bench, APART)
    opened = bench.campaigns.create("open", Options(hours=hours_around(datetime.now(UTC) + APART)))
    closed = bench.campaigns.create("closed", Options(hours=hours_around(datetime.now(UTC))))
    for campaign_id in (opened, closed):
        bench.campaigns.add(campaign_id, rows(PEOPLE))
    rests = [bench.campaigns.start(one).rests_until for one in (opened, closed)]

    assert rests[0] is None
    assert rests[1] is not None
    assert rests[1] > datetime.now(UTC) + APART


def test_what_happened_to_a_recipient_is_dated_by_the_same_clock(bench: Bench) -> None:
    """A worker's clock that is behind would date the refusal before the campaign's start."""
    campaign_id = taken(apart(bench, APART), [Row(1, Channel.EMAIL, "person+bad-email@example.com")])
    report = next(bench.campaigns.export(campaign_id))

    assert report.at is not None
    assert abs(report.at - datetime.now(UTC) - APART) < timedelta(minutes=1)
