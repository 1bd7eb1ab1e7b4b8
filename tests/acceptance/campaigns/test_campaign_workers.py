"""A campaign through real worker processes: deployments, and what people may read of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Options, Status
from gatepost_core.states import State
from support.campaign_parts import assert_adds_up, rows

if TYPE_CHECKING:
    from support.stack import Stack

QUEUES = "gatepost.login,gatepost.bulk"


def test_a_deployment_loses_nothing_and_takes_seconds(stack: Stack) -> None:
    """SIGTERM in the middle: begun rows are settled, the batch goes back, and the next worker ends the campaign."""
    stack.beat()
    worker = stack.worker(QUEUES)
    with Campaigns(stack.settings) as campaigns:
        campaign_id = campaigns.create("deployment", Options(rate=50))
        campaigns.add(campaign_id, rows(300))
        campaigns.start(campaign_id)
        stack.until(lambda: campaigns.status(campaign_id).done > 50, "fifty are done", worker)
        started = time.monotonic()
        worker.terminate()
        worker.wait(120)
        elapsed = time.monotonic() - started
        between = campaigns.status(campaign_id)
        stack.worker(QUEUES)
        stack.until(lambda: campaigns.status(campaign_id).status is Status.FINISHED, "it is finished", timeout=120)
        campaign = campaigns.status(campaign_id)

    assert (between.counts[State.IN_FLIGHT], between.counts[State.UNKNOWN]) == (0, 0)
    assert between.open > 0
    assert_adds_up(campaign)
    assert campaign.counts[State.ACCEPTED] == 300
    assert stack.simulator.control.counts()["repeated"] == 0
    # A batch task may take 30 s; a worker that stops gives the rest back much sooner, also on a slow machine.
    assert elapsed < 25


def test_logs_and_queue_name_nobody(stack: Stack) -> None:
    """Workers log the outcome of each recipient, and no address."""
    worker = stack.worker(QUEUES, "--loglevel", "DEBUG")
    with Campaigns(stack.settings) as campaigns:
        campaign_id = campaigns.create("quiet", Options())
        campaigns.add(campaign_id, rows(40))
        campaigns.start(campaign_id)
        stack.until(lambda: campaigns.status(campaign_id).status is Status.FINISHED, "it is finished", worker)
    output = worker.output()
    with stack.redis() as client:
        stored = b"".join(client.dump(key) or b"" for key in client.scan_iter("*"))

    assert output.count("attempt.finished") == 40
    assert "example.com" not in output
    assert b"@example.com" not in stored
