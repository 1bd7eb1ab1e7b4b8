"""Campaigns that the console watches: pages never wait for Redis, and say how old their numbers are."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import CampaignNotFound, Unavailable
from gatepost_core.campaigns.model import Campaign, Status
from gatepost_operations.planning.campaign_events import EventKind
from gatepost_operations.planning.tenant_quota import TenantQuota
from gatepost_operations.web.console.history import MOST_SAMPLES, History, Sample
from gatepost_operations.web.console.live import LiveCampaigns
from support.campaign_views import CAMPAIGN_ID, NOW, campaign_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_operations.web.console.live import LiveView


class World:
    """Redis with one campaign, a broker with workers, and a clock that the test moves."""

    def __init__(self, campaign: Campaign | None) -> None:
        self.campaign = campaign
        self.answers = True
        self.reads = 0
        self.elapsed = 0.0
        self.workers: frozenset[str] | None = frozenset({"one", "two"})
        self.live_campaigns = LiveCampaigns(
            self,  # type: ignore[arg-type] # what the class needs of a reader
            quota=lambda tenant: TenantQuota(tenant=tenant or "default", endpoint="passwordless/start"),
            workers=lambda: self.workers,
            clock=lambda: NOW + timedelta(seconds=self.elapsed),
            monotonic=lambda: self.elapsed,
        )

    def active_ids(self) -> list[str]:
        self._require()
        return [CAMPAIGN_ID] if self.campaign and self.campaign.status is Status.RUNNING else []

    def status(self, campaign_id: str) -> Campaign:
        found = self.live([campaign_id])
        if not found:
            raise CampaignNotFound
        return found[campaign_id]

    def live(self, campaign_ids: Sequence[str]) -> dict[str, Campaign]:
        self._require()
        self.reads += 1
        return {one: self.campaign for one in campaign_ids if self.campaign is not None}

    def _require(self) -> None:
        if not self.answers:
            raise Unavailable("Redis does not answer.")

    def pass_time(self, seconds: int) -> LiveView:
        for _ in range(seconds):
            self.elapsed += 1.0
            self.live_campaigns.read()
        return self.live_campaigns.view(CAMPAIGN_ID)


def test_views_of_a_watched_campaign_read_nothing() -> None:
    """Ten browsers cost as much as one."""
    world = World(campaign_with(queued=10))
    world.pass_time(1)

    for _ in range(10):
        world.live_campaigns.view(CAMPAIGN_ID)

    assert world.reads == 1


def test_only_a_question_without_an_answer_counts_as_a_lost_redis() -> None:
    """A busy machine that asks late refuses no page."""
    world = World(campaign_with(queued=10))
    world.pass_time(3)
    world.elapsed += 10
    late = world.live_campaigns.waits_for_redis
    world.answers = False
    world.pass_time(4)
    lost = world.live_campaigns.waits_for_redis
    world.answers = True
    world.pass_time(1)

    assert (late, lost, world.live_campaigns.waits_for_redis) == (False, True, False)


def test_a_lost_connection_is_shown_with_its_time_and_recovers() -> None:
    """The last numbers stay visible; afterwards the loss and the return are events."""
    world = World(campaign_with(queued=10))
    world.pass_time(3)
    world.answers = False
    lost = world.pass_time(10).view
    world.answers = True
    back = world.pass_time(1).view

    assert (lost.is_lost, lost.lost_for_s, lost.snapshot.campaign.total) == (True, 10.0, 10)
    assert not back.is_lost
    kinds = [event.kind for event in back.events]
    assert kinds == [EventKind.CONNECTION_LOST, EventKind.CONNECTION_BACK]
    assert back.events[0].at == NOW + timedelta(seconds=3)


def test_a_gap_in_the_history_marks_a_lost_connection() -> None:
    """The chart does not draw a rate without a measurement."""
    world = World(campaign_with(queued=10, rate=5.0))
    world.pass_time(3)
    world.answers = False
    samples = world.pass_time(6).samples

    assert [sample.rate for sample in samples[:3]] == [5.0, 5.0, 5.0]
    assert samples[-1].rate is None


def test_a_page_that_was_not_watched_needs_redis() -> None:
    """Without any earlier number, the failure is shown."""
    world = World(campaign_with(Status.DRAFT))
    world.answers = False

    with pytest.raises(Unavailable):
        world.live_campaigns.view(CAMPAIGN_ID)


def test_a_deleted_campaign_is_not_found_any_more() -> None:
    """Its page does not show it for ever."""
    world = World(campaign_with(queued=10))
    world.pass_time(1)
    world.campaign = None

    with pytest.raises(CampaignNotFound):
        world.pass_time(1)


def test_a_killed_worker_is_an_event() -> None:
    """A worker that does not answer three times counts as gone."""
    world = World(campaign_with(queued=10))
    world.pass_time(1)
    world.live_campaigns.count_workers()
    world.workers = frozenset({"one"})
    for _ in range(3):
        world.live_campaigns.count_workers()
    view = world.pass_time(1).view

    assert view.workers == 1
    assert EventKind.WORKERS_GONE in [event.kind for event in view.events]


def test_a_finished_campaign_is_forgotten_when_no_page_shows_it() -> None:
    """The console's memory does not grow with the campaigns that it has seen."""
    world = World(campaign_with(Status.FINISHED, accepted=10))
    world.live_campaigns.view(CAMPAIGN_ID)
    for _ in range(700):
        world.elapsed += 1
        world.live_campaigns.read()
    reads = world.reads
    world.live_campaigns.read()

    assert world.reads == reads


def test_a_long_history_is_thinned_out_evenly() -> None:
    """A campaign of a day has as many samples as one of minutes, from its beginning to its end."""
    history = History()
    for second in range(20_000):
        history.add(Sample(NOW + timedelta(seconds=second), second, 1.0))
    done = [sample.done for sample in history.samples]

    assert MOST_SAMPLES / 2 <= len(done) <= MOST_SAMPLES
    assert done[0] < 100
    assert done[-1] > 19_800
    gaps = [later - earlier for earlier, later in itertools.pairwise(done)]
    assert max(gaps) <= 2 * min(gaps)
