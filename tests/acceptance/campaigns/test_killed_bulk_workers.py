"""A worker that is killed stops no campaign: the others go on, and its rows wait for their leases."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Options, Status
from gatepost_core.states import State
from support.campaign_parts import assert_adds_up, rows
from support.keys import KEYS

if TYPE_CHECKING:
    from support.stack import Program, Stack

QUEUES = "gatepost.login,gatepost.bulk"
PEOPLE = 600
RATE = 80.0
LEASE_S = 14.0


@pytest.fixture
def stack(stack: Stack) -> Stack:
    """Leases outlast a call, a wait of 2 s and a margin of 1 s."""
    stack.environment["GATEPOST_EMAIL_DEADLINE"] = str(LEASE_S - 3)
    return stack


def test_a_worker_beside_the_killed_one_keeps_the_campaigns_pace(stack: Stack) -> None:
    """Both send; in the next three seconds the other one sends at the whole rate, or half of it on a slow machine."""
    killed, other = stack.worker(QUEUES), stack.worker(QUEUES)
    with Campaigns(stack.settings) as campaigns:
        campaign_id = _start(campaigns)
        stack.until(lambda: _workers_with_batches(stack) == 2, "both have batches", killed)
        stack.until(lambda: campaigns.status(campaign_id).done > RATE / 2, "they send", other)
        before = _kill(killed, campaigns, campaign_id)
        time.sleep(3)
        after = campaigns.status(campaign_id)

    assert after.done - before > 3 * RATE / 2
    assert_adds_up(after)


@pytest.mark.slow
def test_a_worker_without_batches_takes_over_before_the_leases_end(stack: Stack) -> None:
    """The killed one holds all batches that are out. After the leases its rows are sent too, and none twice."""
    killed = stack.worker(QUEUES)
    with Campaigns(stack.settings) as campaigns:
        campaign_id = _start(campaigns)
        stack.until(lambda: campaigns.status(campaign_id).done > RATE / 2, "it sends", killed)
        other = stack.worker(QUEUES)
        before = _kill(killed, campaigns, campaign_id)
        killed_at = time.monotonic()
        stack.until(lambda: campaigns.status(campaign_id).done > before + 10, "the other one sends", other)
        took_s = time.monotonic() - killed_at
        stack.beat()
        stack.until(lambda: campaigns.status(campaign_id).status is Status.FINISHED, "it is finished", timeout=120)
        campaign = campaigns.status(campaign_id)

    assert took_s < LEASE_S - 3
    assert_adds_up(campaign)
    assert campaign.counts[State.ACCEPTED] + campaign.counts[State.UNKNOWN] == PEOPLE
    assert stack.simulator.control.counts()["repeated"] == 0


def _start(campaigns: Campaigns) -> str:
    campaign_id = campaigns.create("killed", Options(rate=RATE))
    campaigns.add(campaign_id, rows(PEOPLE))
    campaigns.start(campaign_id)
    return campaign_id


def _kill(worker: Program, campaigns: Campaigns, campaign_id: str) -> int:
    """Kill a worker, and return how many recipients were done by then."""
    worker.kill()
    return campaigns.status(campaign_id).done


def _workers_with_batches(stack: Stack) -> int:
    with stack.redis() as client:
        return int(client.zcard(KEYS.bulk_workers))
