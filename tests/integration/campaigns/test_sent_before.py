"""Recipients and files that other campaigns got before, by the campaigns' own records."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost.campaigns.sent_before import MOST_CAMPAIGNS, recent_campaigns
from gatepost_core.campaigns.model import Options, Status
from gatepost_core.states import State
from support.campaign_parts import Bench, email, rows
from support.campaign_views import NOW, campaign_with

if TYPE_CHECKING:
    import redis

    from gatepost.campaigns.control import Campaigns

DIGEST = "ab" * 32
WEEK = timedelta(days=7)


def set_states(client: redis.Redis, campaign_id: str, states: str, batch: int = 0) -> None:
    """Let recipients have these states, as workers would have left them."""
    client.hset(f"gatepost:campaign:{campaign_id}:batch:{batch}", "states", states)
    letters = {state.char: state.value for state in State}
    counts = {letters[letter]: states.count(letter) for letter in set(states)}
    client.hset(f"gatepost:campaign:{campaign_id}", mapping={"queued": 0, **counts})


def sent(campaigns: Campaigns, client: redis.Redis, name: str, states: str, *, first: int = 0) -> str:
    """A started campaign whose recipients are in these states."""
    campaign_id = campaigns.create(name)
    campaigns.add(campaign_id, rows(len(states), first))
    campaigns.start(campaign_id)
    set_states(client, campaign_id, states)
    return campaign_id


def test_recipients_are_found_by_their_state(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """Only `accepted` counts as accepted; the other states are counted by campaign."""
    spring = sent(campaigns, redis_client, "spring", "aaruq")
    summer = sent(campaigns, redis_client, "summer", "as", first=1)
    recent = campaigns.sent_before.recent()
    accepted = recent.look([email(number) for number in range(6)])

    assert accepted == [True, True, False, False, False, False]
    assert recent.counts[spring] == {"accepted": 2, "rejected": 1, "unknown": 1, "queued": 1}
    assert recent.counts[summer] == {"accepted": 1, "suppressed": 1}


def test_the_campaign_itself_does_not_count(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """A second run of the same command leaves no one out."""
    spring = sent(campaigns, redis_client, "spring", "a")

    assert campaigns.sent_before.recent(besides=spring).look([email(0)]) == [False]


def test_a_campaign_that_is_deleted_meanwhile_is_forgotten(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """Its recipients count as new."""
    spring = sent(campaigns, redis_client, "spring", "a")
    recent = campaigns.sent_before.recent()
    campaigns.pause(spring)
    campaigns.delete(spring)

    assert recent.look([email(0)]) == [False]


def test_many_recipients_in_many_batches_are_found(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """The place of a recipient in its campaign decides which state is read."""
    spring = campaigns.create("spring")
    campaigns.add(spring, rows(600))
    campaigns.start(spring)
    set_states(redis_client, spring, "a" * 88, batch=2)
    found = campaigns.sent_before.recent().look([email(number) for number in range(700)])

    assert [number for number, known in enumerate(found) if known] == list(range(512, 600))


def test_rows_of_accepted_recipients_are_left_out(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """The others keep their order."""
    sent(campaigns, redis_client, "spring", "aqa")
    left = campaigns.sent_before.recent().without_accepted(rows(5))

    assert [row.recipient for row in left] == [email(1), email(3), email(4)]


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        ({"accepted": 1}, True),
        ({"unknown": 1}, True),
        ({"rejected": 1}, False),
        ({"accepted": 1, "updated_at": NOW - timedelta(days=8)}, False),
        ({"status": Status.RUNNING, "queued": 1, "updated_at": NOW - timedelta(days=30)}, True),
        ({"accepted": 1, "options": Options(tenant="other")}, False),
    ],
)
def test_campaigns_of_the_last_days_that_sent_something_count(given: dict[str, object], *, counts: bool) -> None:
    """A running one counts whatever its age, and another tenant's codes are for another application."""
    campaign = campaign_with(**{"status": Status.FINISHED, **given})
    found = recent_campaigns([campaign], NOW, WEEK, tenant="default")

    assert bool(found.looked_at) is counts


def test_only_the_newest_campaigns_are_looked_at() -> None:
    """The others are named, because they were not searched."""
    known = [
        campaign_with(Status.FINISHED, campaign_id=str(number), accepted=1) for number in range(MOST_CAMPAIGNS + 2)
    ]
    found = recent_campaigns(known, NOW, WEEK, tenant="default")

    assert [one.campaign_id for one in found.not_looked_at] == ["20", "21"]
    assert len(found.looked_at) == MOST_CAMPAIGNS


def test_a_file_is_known_by_its_digest(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """Drafts and rehearsals have not sent it, and a deleted campaign is forgotten. The record does not hold the digest."""
    draft = campaigns.create("draft")
    rehearsal = campaigns.create("rehearsal", guest_list=["guest@example.com"])
    spring = campaigns.create("spring")
    for campaign_id in (draft, rehearsal, spring):
        campaigns.add(campaign_id, rows(1))
        campaigns.sent_before.note_file(campaign_id, DIGEST)
    for campaign_id in (rehearsal, spring):
        campaigns.start(campaign_id)
    found = [one.campaign_id for one in campaigns.sent_before.with_file(DIGEST)]
    fields = redis_client.hkeys(f"gatepost:campaign:{spring}")
    campaigns.pause(spring)
    campaigns.delete(spring)

    assert found == [spring]
    assert campaigns.sent_before.with_file("cd" * 32) == ()
    assert DIGEST not in str(fields)
    assert campaigns.sent_before.with_file(DIGEST) == ()


def test_what_workers_accepted_is_found(bench: Bench) -> None:
    """With real batches, calls and answers."""
    bench.started(3)
    bench.work_now()
    recent = bench.campaigns.sent_before.recent()

    assert recent.look([email(number) for number in range(4)]) == [True, True, True, False]


@pytest.mark.parametrize(("states", "sent_it"), [("cc", False), ("rc", False), ("ac", True), ("uc", True)])
def test_a_cancelled_campaign_has_sent_a_file_if_somebody_may_have_got_a_message(
    campaigns: Campaigns, redis_client: redis.Redis, states: str, *, sent_it: bool
) -> None:
    """Otherwise the same file can follow under another name."""
    spring = campaigns.create("spring")
    campaigns.add(spring, rows(len(states)))
    campaigns.sent_before.note_file(spring, DIGEST)
    campaigns.start(spring)
    campaigns.cancel(spring)
    set_states(redis_client, spring, states)
    counted = {"accepted": states.count("a"), "unknown": states.count("u"), "cancelled": states.count("c")}
    redis_client.hset(f"gatepost:campaign:{spring}", mapping=counted)

    assert bool(campaigns.sent_before.with_file(DIGEST)) is sent_it
