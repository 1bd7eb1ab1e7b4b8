"""The whole of a bad day: a copy of Valkey, a crash hours later, the copy put back, `gatepost recover`, and workers again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.model import Status
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support import foreign_client
from support.campaign_parts import assert_adds_up, email, rows
from support.campaign_terminal import Terminal
from support.chaos_accounts import sent_to
from support.keys import KEYS
from support.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

    from gatepost import Campaigns
    from gatepost_simulator.server import SimulatorServer

RECIPIENTS = 2000
AT_THE_COPY, AT_THE_CRASH = 200, 700
SINGLES = [f"single{number}@example.com" for number in range(10)]
SUBMITTED = "submitted@example.com"


def lived(stack: Stack, live: Path, copy: Path) -> tuple[str, list[str], datetime]:
    """Copy Redis while everything is under way, continue, and crash; return the campaign, the sends, and the time of the copy."""
    control = stack.simulator.control
    with stack.producer() as producer, stack.redis() as client:
        campaign_id = producer.campaigns.create("spring")
        producer.campaigns.add(campaign_id, rows(RECIPIENTS))
        producer.campaigns.start(campaign_id)
        handles = [producer.send_email(one) for one in SINGLES]
        foreign_client.push(client, {"command": {"kind": "send_email", "email": SUBMITTED}})
        worker = stack.worker("gatepost.bulk")
        stack.until(lambda: accepted(producer.campaigns, campaign_id) >= AT_THE_COPY, "it is under way", worker)
        shutil.copytree(live / "appendonlydir", copy)
        copied_at = datetime.now(UTC)
        producer.app.control.add_consumer("gatepost.send")
        for handle in handles:
            handle.result(120)
        stack.until(lambda: control.count(SUBMITTED) == 1, "the submission is sent", worker)
        stack.until(lambda: accepted(producer.campaigns, campaign_id) >= AT_THE_CRASH, "it went on", worker)
    worker.kill()
    return campaign_id, [handle.operation_id for handle in handles], copied_at


def accepted(campaigns: Campaigns, campaign_id: str) -> int:
    return campaigns.status(campaign_id).counts[State.ACCEPTED]


@pytest.mark.slow
def test_a_restored_backup_sends_nobody_a_second_message(simulator: SimulatorServer, tmp_path: Path) -> None:
    """A campaign, single sends and a submission that went on after the copy: each is unknown or a dead letter, and the operator decides."""
    live, copy = tmp_path / "valkey", tmp_path / "copy"
    with EmbeddedValkey(live) as valkey, Stack(valkey, simulator, tmp_path) as stack:
        campaign_id, operations, copied_at = lived(stack, live, copy)
        valkey.kill()
        shutil.rmtree(live / "appendonlydir")
        shutil.copytree(copy, live / "appendonlydir")
        valkey.start()

        terminal = Terminal(stack, tmp_path)
        recover = ("recover", "--backup-of", copied_at.isoformat(), "--yes")
        recovered, out, _ = terminal.run(*recover)
        worker = stack.worker("gatepost.login,gatepost.send,gatepost.bulk")
        stack.beat()
        refused, _, said = terminal.run(*recover)
        with stack.producer() as producer, stack.redis() as client:
            before = client.get(KEYS.reconciler_last_run)
            stack.until(lambda: client.get(KEYS.reconciler_last_run) != before, "the reconciler ran", worker)
            paused = producer.campaigns.status(campaign_id)
            producer.campaigns.resume(campaign_id)
            campaign = producer.campaigns.status(campaign_id)
            reasons = {producer.handle(one).outcome().reason for one in operations}
            letters = client.zcard(KEYS.dead_letters)
        sent = sent_to(simulator.control, [*map(email, range(RECIPIENTS)), *SINGLES, SUBMITTED])

    assert recovered == 0
    assert "1 campaign paused" in out
    assert (refused, "Workers are running" in said) == (5, True)
    assert max(sent.values()) == 1
    assert sum(sent.values()) >= AT_THE_CRASH
    assert (paused.status, campaign.status) == (Status.PAUSED, Status.FINISHED)
    assert AT_THE_COPY <= campaign.counts[State.ACCEPTED] < AT_THE_CRASH
    assert campaign.counts[State.ACCEPTED] + campaign.counts[State.UNKNOWN] == RECIPIENTS
    assert_adds_up(campaign)
    assert reasons == {Reason.BACKUP_RESTORED}
    assert letters == 1
