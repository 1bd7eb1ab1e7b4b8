"""The stream of snapshots: a campaign's activity, a stall, and the end of watching."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gatepost.errors import Unavailable
from gatepost_core.campaigns.hours import SendingHours
from gatepost_core.campaigns.model import Campaign, Options, Pause, PauseReason, Status
from gatepost_operations.planning.tenant_quota import Bucket, TenantQuota
from gatepost_operations.planning.watch import (
    STALLED_AFTER_S,
    Activity,
    CampaignSnapshot,
    finish_at,
    snapshot_of,
    watch,
)
from support.campaign_views import CAMPAIGN_ID, NOW, campaign_with


class Played:
    """Campaigns with scripted statuses, None when Redis does not answer, and a clock that moves with every sleep."""

    def __init__(self, *campaigns: Campaign | None) -> None:
        self._left = list(campaigns)
        self.elapsed = 0.0

    def status(self, campaign_id: str) -> Campaign:
        assert campaign_id == CAMPAIGN_ID
        found = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        if found is None:
            raise Unavailable
        return found

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds

    def watched(self, looks: int = 100) -> list[CampaignSnapshot]:
        stream = watch(
            self,  # type: ignore[arg-type] # what the function needs of the campaigns
            CAMPAIGN_ID,
            clock=lambda: NOW + timedelta(seconds=self.elapsed),
            monotonic=lambda: self.elapsed,
            sleep=self.sleep,
        )
        return [snapshot for snapshot, _ in zip(stream, range(looks), strict=False)]


def test_watching_ends_with_the_campaign() -> None:
    """The last snapshot is its end."""
    seen = Played(
        campaign_with(queued=2), campaign_with(queued=1, accepted=1), campaign_with(Status.FINISHED, accepted=2)
    )

    assert [one.activity for one in seen.watched()] == [Activity.SENDING, Activity.SENDING, Activity.ENDED]


@pytest.mark.parametrize("reason", [PauseReason.REFUSED, PauseReason.FAILURES_IN_A_ROW, PauseReason.ERROR_SHARE])
def test_watching_ends_when_the_campaign_pauses_itself(reason: PauseReason) -> None:
    """Nothing changes until an operator acts."""
    paused = campaign_with(Status.PAUSED, queued=1, pause=Pause(reason))

    assert Played(campaign_with(queued=1), paused).watched()[-1].activity is Activity.PAUSED_ITSELF


def test_watching_ends_when_recover_has_paused_the_campaign() -> None:
    """The campaign did not pause itself."""
    paused = campaign_with(Status.PAUSED, unknown=1, pause=Pause(PauseReason.BACKUP_RESTORED))

    assert Played(campaign_with(queued=1), paused).watched()[-1].activity is Activity.PAUSED_BY_RECOVER


def test_a_pause_by_hand_is_watched_on() -> None:
    """The operator who paused it resumes or cancels it."""
    paused = campaign_with(Status.PAUSED, queued=1, pause=Pause(PauseReason.BY_OPERATOR))
    seen = Played(paused, paused, campaign_with(queued=1), campaign_with(Status.FINISHED, accepted=1)).watched()

    assert [one.activity for one in seen] == [
        Activity.PAUSED_BY_HAND,
        Activity.PAUSED_BY_HAND,
        Activity.SENDING,
        Activity.ENDED,
    ]


def test_a_campaign_that_does_not_move_waits_for_a_worker() -> None:
    """After some seconds, and not before."""
    seen = Played(campaign_with(queued=5)).watched(int(STALLED_AFTER_S) + 2)

    assert [one.activity for one in seen[:-2]] == [Activity.SENDING] * int(STALLED_AFTER_S)
    assert seen[-1].activity is Activity.WAITING
    assert seen[-1].idle_s == STALLED_AFTER_S + 1


def test_what_moves_does_not_wait() -> None:
    """One more recipient settled begins the count anew; a request under way is work too."""
    moving = [campaign_with(queued=100 - number, accepted=number) for number in range(20)]
    slow = campaign_with(queued=5, in_flight=1)

    assert {one.activity for one in Played(*moving).watched(20)} == {Activity.SENDING}
    assert {one.activity for one in Played(slow).watched(20)} == {Activity.SENDING}


def test_redis_may_be_away_for_a_while() -> None:
    """A restart of Redis does not end the watching; a minute of silence does."""
    back = Played(campaign_with(queued=1), *[None] * 50, campaign_with(Status.FINISHED, accepted=1))
    gone = Played(campaign_with(queued=1), None)

    assert [one.activity for one in back.watched()] == [Activity.SENDING, Activity.ENDED]
    with pytest.raises(Unavailable):
        gone.watched()
    assert gone.elapsed == 60


def test_a_rest_is_no_stall() -> None:
    """It rests until its start, its hours or the quota allow sends; a stall counts from then."""
    resting = campaign_with(queued=5, rests_until=NOW + timedelta(seconds=10))
    seen = Played(resting).watched(16)

    assert [one.activity for one in seen[:10]] == [Activity.RESTING] * 10
    assert seen[11].activity is Activity.SENDING
    assert seen[15].activity is Activity.WAITING


@pytest.mark.parametrize(
    ("status", "activity"),
    [
        (Status.DRAFT, Activity.NOT_STARTED),
        (Status.CANCELLING, Activity.CANCELLING),
        (Status.CANCELLED, Activity.ENDED),
        (Status.DELETING, Activity.ENDED),
    ],
)
def test_every_status_is_an_activity(status: Status, activity: Activity) -> None:
    """The watching operator reads the reason."""
    assert snapshot_of(campaign_with(status, queued=1), NOW).activity is activity


def test_the_finish_follows_from_the_rate_and_the_hours() -> None:
    """An hour's work at half past four with hours until five ends the next morning."""
    afternoon = NOW + timedelta(hours=7, minutes=30)
    options = Options(tenant="default", hours=SendingHours.parse("09:00-17:00", "UTC"))
    without = campaign_with(queued=3600, rate=1.0)
    within = campaign_with(queued=3600, rate=1.0, options=options)

    assert finish_at(without, afternoon) == afternoon + timedelta(hours=1)
    assert finish_at(within, afternoon) == NOW + timedelta(hours=24, minutes=30)


def test_a_rest_ends_with_what_the_quota_gives() -> None:
    """The rate before it is one of the past: here the quota has become a tenth of it."""
    bucket = Bucket(limit=50, level=0, reserve=10, available_rate=0.1, refill_rate=0.1, foreign_rate=0)
    quota = TenantQuota(tenant="default", endpoint="passwordless/start", bucket=bucket)
    minute = timedelta(seconds=60)
    resting = campaign_with(queued=60, rate=1.0, rests_until=NOW + minute)
    sending = campaign_with(queued=60, rate=1.0)

    assert finish_at(resting, NOW, quota) == NOW + 11 * minute
    assert finish_at(resting, NOW) == NOW + 2 * minute
    assert finish_at(sending, NOW, quota) == NOW + minute


@pytest.mark.parametrize(
    "campaign", [campaign_with(queued=10), campaign_with(Status.PAUSED, queued=10, rate=5.0)], ids=["no rate", "paused"]
)
def test_what_cannot_be_told_is_not(campaign: Campaign) -> None:
    """No finish time without a rate."""
    assert finish_at(campaign, NOW) is None


def test_a_snapshot_as_json_names_nobody() -> None:
    """Counts, times and the activity."""
    document = snapshot_of(campaign_with(queued=3, accepted=1, rate=2.0), NOW).as_json()

    assert document["activity"] == "sending"
    assert (document["done"], document["total"]) == (1, 4)
    assert document["finish_at"] == "2026-05-04T09:00:01.500000+00:00"


def test_a_stall_counts_only_from_an_outages_end() -> None:
    """What happened without a connection was not seen."""
    same = campaign_with(queued=5)
    seen = Played(same, *[None] * 30, same, same).watched(3)

    assert [one.idle_s for one in seen] == [0.0, 0.0, 1.0]


def test_a_slow_rate_is_no_stall() -> None:
    """At one recipient in twenty seconds, a worker is missing after a minute, not after five seconds."""
    slow = Played(campaign_with(queued=5, options=Options(tenant="default", rate=0.05))).watched(62)

    assert {one.activity for one in slow[:60]} == {Activity.SENDING}
    assert slow[-1].activity is Activity.WAITING


def test_the_rate_now_is_none_when_nothing_moves() -> None:
    """The record keeps the last rate that was measured."""
    sending = campaign_with(queued=5, rate=40.0)

    assert snapshot_of(sending, NOW, 1).rate_now == 40.0
    assert snapshot_of(sending, NOW, 6).rate_now == 0.0
    assert snapshot_of(campaign_with(Status.PAUSED, queued=5, rate=40.0), NOW).rate_now == 0.0


def test_the_mean_rate_counts_from_the_start_to_the_end() -> None:
    """Rests and pauses are part of it; a draft has none."""
    hour = timedelta(hours=1)
    ended = campaign_with(Status.FINISHED, accepted=7200, started_at=NOW - hour, ended_at=NOW)

    assert snapshot_of(ended, NOW + hour).mean_rate == 2.0
    assert snapshot_of(campaign_with(accepted=3600, started_at=NOW - hour), NOW).mean_rate == 1.0
    assert snapshot_of(campaign_with(Status.DRAFT, queued=1), NOW).mean_rate is None
