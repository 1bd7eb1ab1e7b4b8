"""Counts that cannot be are said to be so wherever a campaign is shown, and are made anew from the batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost.errors import CampaignConflict
from gatepost_core.campaigns.model import Status
from gatepost_core.campaigns.wire_format import Record
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.cli.campaign.text import sum_lines
from gatepost_operations.planning.watch import snapshot_of
from support.campaign_parts import Bench, assert_adds_up, rows
from support.keys import KEYS

if TYPE_CHECKING:
    import redis

    from gatepost.campaigns.control import Campaigns

SENTENCE = "the counts do not add up; run `gatepost campaign recount"


def paused(campaigns: Campaigns, people: int = 300) -> str:
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(people))
    campaigns.start(campaign_id)
    campaigns.pause(campaign_id)
    return campaign_id


@pytest.mark.parametrize(
    "wrong",
    [
        {"accepted": 8},
        {"queued": -2, "accepted": 302},
        {"total": 3},
        {"queued": "no number"},
        {"reason:rejected:1": 5},
        {"queued": 0, "cancelled": 300, "reason:cancelled:1": 301},
        {"reason:sideways:1": 1},
        {"reason:rejected:250": 1},
    ],
    ids=["more", "negative", "total", "no number", "reason", "implied", "no state", "no reason"],
)
def test_impossible_counts_are_reported_and_counted_again(
    campaigns: Campaigns, redis_client: redis.Redis, wrong: dict[str, Any]
) -> None:
    """Shares above the total, negative numbers, sums that differ, and values that are no numbers."""
    campaign_id = paused(campaigns)
    redis_client.hset(KEYS.campaign(campaign_id), mapping=wrong)
    before = campaigns.status(campaign_id)

    counted = campaigns.recount(campaign_id)
    after = campaigns.status(campaign_id)

    assert not before.adds_up
    assert before.eta_s is None
    assert snapshot_of(before, before.updated_at).finish_at is None
    assert next(sum_lines(before)).startswith(SENTENCE)
    assert (counted.total, counted.counts[State.QUEUED]) == (300, 300)
    assert after.adds_up
    assert_adds_up(after)


def test_a_missing_count_is_no_traceback(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """Another program with access may have deleted it."""
    campaign_id = paused(campaigns)
    redis_client.hdel(KEYS.campaign(campaign_id), "queued", "total")

    before = campaigns.status(campaign_id)
    campaigns.recount(campaign_id)

    assert not before.adds_up
    assert campaigns.status(campaign_id).counts[State.QUEUED] == 300


def test_states_reasons_and_leases_are_counted(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """Every state, each reason with its number, and a row whose worker is gone."""
    campaign_id = paused(campaigns, 8)
    records = [
        Record(1, Reason.RECIPIENT_REJECTED, 400, 1),
        Record(2, Reason.ANSWER_LOST, None, 1),
        Record(6, Reason.NOT_REACHED, None, 1),
    ]
    packed = b"".join(record.pack() for record in records)
    redis_client.hset(KEYS.batch(campaign_id, 0), mapping={"states": b"aruscfqd", "details": packed})
    redis_client.hset(KEYS.batch(campaign_id, 0), mapping={"token": "gone", "lease": 1})
    redis_client.zadd(KEYS.held(campaign_id), {"7": 1})

    campaigns.recount(campaign_id)
    campaign = campaigns.status(campaign_id)
    leased = redis_client.zcard(KEYS.held(campaign_id))

    assert_adds_up(campaign)
    assert {state: number for state, number in campaign.counts.items() if number} == {
        State.ACCEPTED: 1,
        State.REJECTED: 1,
        State.UNKNOWN: 2,
        State.SUPPRESSED: 1,
        State.CANCELLED: 1,
        State.QUEUED: 1,
        State.DEFERRED: 1,
    }
    assert campaign.reasons == {
        (State.REJECTED, Reason.RECIPIENT_REJECTED): 1,
        (State.UNKNOWN, Reason.ANSWER_LOST): 1,
        (State.UNKNOWN, Reason.WORKER_LOST): 1,
        (State.CANCELLED, Reason.CANCELLED_BY_CALLER): 1,
    }
    assert leased == 0


def test_a_cancelled_campaign_that_wrong_counts_keep_open_ends(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """It would be `cancelling` for ever, and no other command takes it."""
    campaign_id = paused(campaigns, 8)
    redis_client.hset(KEYS.batch(campaign_id, 0), "states", b"cccccccc")
    redis_client.hset(KEYS.campaign(campaign_id), mapping={"status": "cancelling", "queued": 3, "cancelled": 8})

    campaigns.recount(campaign_id)
    campaign = campaigns.status(campaign_id)

    assert_adds_up(campaign)
    assert (campaign.status, campaign.counts[State.CANCELLED]) == (Status.CANCELLED, 8)


def test_a_cancelled_campaign_with_open_recipients_goes_on_ending(
    campaigns: Campaigns, redis_client: redis.Redis
) -> None:
    """They are found, and the sweep cancels them."""
    campaign_id = paused(campaigns, 8)
    redis_client.hset(KEYS.batch(campaign_id, 0), "states", b"ccccccqq")
    redis_client.hset(KEYS.campaign(campaign_id), mapping={"status": "cancelling", "queued": 0, "cancelled": 8})

    campaigns.recount(campaign_id)
    campaign = campaigns.status(campaign_id)

    assert (campaign.status, campaign.counts[State.QUEUED]) == (Status.CANCELLING, 2)


def test_a_running_campaign_is_not_recounted(campaigns: Campaigns) -> None:
    """Its rows change meanwhile; the sentence says what to do."""
    campaign_id = paused(campaigns)
    campaigns.resume(campaign_id)

    with pytest.raises(CampaignConflict, match="pause"):
        campaigns.recount(campaign_id)


def test_a_batch_that_a_worker_holds_is_not_recounted(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """It settles calls under way for some seconds after the pause."""
    campaign_id = paused(campaigns)
    redis_client.hset(KEYS.batch(campaign_id, 1), mapping={"token": "alive", "lease": 9_999_999_999_999})
    redis_client.hset(KEYS.campaign(campaign_id), "accepted", 8)

    with pytest.raises(CampaignConflict, match="still holds"):
        campaigns.recount(campaign_id)

    assert not campaigns.status(campaign_id).adds_up


def test_a_change_during_the_count_makes_it_begin_anew(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """Nothing is written that was counted before the change."""
    campaign_id = paused(campaigns)
    redis_client.hset(KEYS.campaign(campaign_id), "accepted", 8)
    looked: list[int] = []

    def cancel_once(batches: int) -> None:
        looked.append(batches)
        if len(looked) == 1:
            campaigns.cancel(campaign_id)

    counted = campaigns.recount(campaign_id, on_progress=cancel_once)

    assert counted.counts[State.CANCELLED] == 300
    assert campaigns.status(campaign_id).counts[State.CANCELLED] == 300
    assert_adds_up(campaigns.status(campaign_id))


def test_a_campaign_that_ended_too_early_can_go_on(bench: Bench, redis_client: redis.Redis) -> None:
    """By its counts nothing was open; recounted it is paused, and resumed it sends to everybody who was left."""
    campaign_id = bench.started(300)
    bench.runner.run(campaign_id, 0)
    redis_client.hset(KEYS.campaign(campaign_id), mapping={"queued": 0, "accepted": 300})
    bench.sweep.run()
    ended = bench.campaigns.status(campaign_id).status

    bench.campaigns.recount(campaign_id)
    recounted = bench.status(campaign_id)
    bench.campaigns.resume(campaign_id)
    bench.work_now()
    campaign = bench.status(campaign_id)

    assert ended is Status.FINISHED
    assert (recounted.status, recounted.open) == (Status.PAUSED, 44)
    assert (campaign.status, campaign.counts[State.ACCEPTED]) == (Status.FINISHED, 300)


def test_batches_that_are_gone_are_named(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """Their recipients are in no count any more."""
    campaign_id = paused(campaigns)
    redis_client.delete(KEYS.batch(campaign_id, 1))
    counted = campaigns.recount(campaign_id)
    campaign = campaigns.status(campaign_id)

    assert counted.gone == (1,)
    assert campaign.total == 256
    assert [block.batches for block in campaign.blocks] == [(1,)]
    assert_adds_up(campaign)


def test_an_ended_campaign_keeps_no_note_about_missing_batches(bench: Bench, redis_client: redis.Redis) -> None:
    """The recount has settled them. A recipient who is added later would otherwise bring the note back."""
    campaign_id = bench.started(300)
    bench.work_now()
    ended = bench.status(campaign_id).status
    redis_client.delete(KEYS.batch(campaign_id, 1))
    counted = bench.campaigns.recount(campaign_id)
    stored = redis_client.exists(KEYS.blocked(campaign_id))
    bench.campaigns.add(campaign_id, rows(5, 1000))
    campaign = bench.status(campaign_id)

    assert (ended, counted.gone, stored) == (Status.FINISHED, (1,), 0)
    assert (campaign.status, campaign.total, campaign.blocks) == (Status.RUNNING, 261, ())


def test_it_is_in_the_audit_log(campaigns: Campaigns) -> None:
    """With the total that was counted."""
    campaign_id = paused(campaigns)
    campaigns.recount(campaign_id)

    entries = list(campaigns.audit.entries())[-2:]
    assert [entry.action for entry in entries] == ["campaign.recount", "campaign.recount.done"]
    assert entries[1].about["total"] == 300
