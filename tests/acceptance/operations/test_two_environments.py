"""A staging worker on production's Redis, with production's keys: it puts everything back, and does not go round in circles."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from gatepost_core.campaigns.model import Status
from gatepost_core.tenant_registry import TenantRegistry
from support import foreign_client
from support.campaign_parts import rows
from support.keys import KEYS

if TYPE_CHECKING:
    from support.stack import Stack

SENDS = 5
RECIPIENTS = 400
WINDOW = 4


def test_a_worker_of_another_environment_sends_nothing_and_never_spins(stack: Stack) -> None:
    """Operations, a campaign and a submission each come to it once in half a minute, whatever the reconciler publishes meanwhile."""
    # As in production: a message that waits for a busy machine is not lost yet.
    stack.environment["GATEPOST_REPUBLISH_AFTER"] = "600"
    settings = stack.settings
    with stack.redis() as client, stack.producer() as producer:
        TenantRegistry(client, KEYS).register("default", settings.applications()["default"])
        handles = [producer.send_email(f"guest{number}@example.com") for number in range(SENDS)]
        campaign_id = producer.campaigns.create("spring")
        producer.campaigns.add(campaign_id, rows(RECIPIENTS))
        producer.campaigns.start(campaign_id)
        foreign_client.push(client, {"command": {"kind": "send_email", "email": f"{uuid.uuid4().hex}@example.com"}})

        stack.beat()
        staging = stack.worker("gatepost.login,gatepost.send,gatepost.bulk", AUTH0_CLIENT_ID="staging-client")
        stack.until(lambda: _times(staging.output(), "operation.blocked") >= SENDS, "operations are put back", staging)
        stack.until(lambda: "submission.blocked" in staging.output(), "the submission is put back", staging)
        stack.until(lambda: "batch.blocked" in staging.output(), "batches are put back", staging)
        # Several runs of the reconciler, which runs every half second here.
        runs = {client.get("gatepost:reconciler:last")}
        stack.until(lambda: runs.add(client.get("gatepost:reconciler:last")) or len(runs) > 4, "it runs", staging)
        outcomes = [handle.outcome() for handle in handles]
        campaign = producer.campaigns.status(campaign_id)
        log = staging.output()

    assert stack.simulator.control.request_log() == []
    assert _times(log, "operation.blocked") == SENDS
    assert _times(log, "submission.blocked") == 1
    assert _times(log, "batch.blocked") <= WINDOW
    assert {outcome.attempts for outcome in outcomes} == {0}
    assert all(outcome.blocked and "staging-client" in outcome.blocked.detail for outcome in outcomes)
    assert campaign.status is Status.RUNNING
    assert campaign.open == RECIPIENTS
    assert campaign.eta_s is None
    (block,) = campaign.blocks
    assert "staging-client" in block.sentence(campaign.accept_command)


def _times(log: str, event: str) -> int:
    return sum(json.loads(line).get("event") == event for line in log.splitlines() if line.startswith("{"))
