"""The example receiver, with a real worker, beat, and the command that adds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import requests

from gatepost_core.audit_log import AuditLog
from gatepost_operations.maintenance.webhooks import WebhookControl
from support.campaign_parts import rows
from support.checkout import CHECKOUT
from support.free_ports import free_port
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost_operations.local.embedded_valkey import EmbeddedValkey
    from gatepost_simulator.server import SimulatorServer

from support.stack import Stack

EXAMPLE = CHECKOUT / "examples" / "webhook-receiver"
WAIT_S = 120


@pytest.fixture
def stack(valkey: EmbeddedValkey, simulator: SimulatorServer, tmp_path: Path) -> Iterator[Stack]:
    """A stack that may send webhooks to this machine."""
    with Stack(valkey, simulator, tmp_path, {"GATEPOST_WEBHOOK_ALLOW_PRIVATE": "1"}) as running:
        yield running


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def accepts_connections(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 405
    except OSError:
        return False


def test_the_example_handles_each_event_once(stack: Stack, tmp_path: Path) -> None:
    """It prints the end of a campaign, passes `webhooks test`, handles a replay once more and not twice, and refuses a forged event."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/gatepost"
    with stack.redis() as client:
        control = WebhookControl(client, stack.settings, AuditLog(client, KEYS, stack.settings.fingerprints()))
        endpoint, secret = control.add(url)
        environment = {
            "WEBHOOK_SECRET": secret,
            "WEBHOOK_DATABASE": str(tmp_path / "webhooks.db"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        server = ["-m", "uvicorn", "--app-dir", str(EXAMPLE), "--port", str(port), "app:app"]
        example = stack.start("example", *server, **environment)
        stack.worker("gatepost.login,gatepost.send,gatepost.bulk,gatepost.webhooks")
        stack.beat()
        until(lambda: accepts_connections(url))
        with stack.producer() as producer:
            campaign_id = producer.campaigns.create("spring")
            producer.campaigns.add(campaign_id, rows(3))
            producer.campaigns.start(campaign_id)
        until(lambda: f"campaign {campaign_id} has ended: 3 accepted" in example.output())
        command = [sys.executable, "-m", "gatepost_operations.cli", "webhooks", "test", endpoint.id[:8], "--json"]
        tested = subprocess.run(
            command,
            env={**os.environ, **stack.environment},
            cwd=stack.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        before = control.find(endpoint.id).delivered
        replayed = control.replay(endpoint.id, datetime.now(UTC) - timedelta(hours=1))
        until(lambda: control.find(endpoint.id).delivered >= before + replayed)
        refused = requests.post(
            url, '{"type": "campaign.finished"}', headers={"webhook-id": "a"}, timeout=30
        ).status_code

    assert (tested.returncode, json.loads(tested.stdout)["result"]) == (0, "delivered"), tested.stderr
    assert replayed >= 1
    assert example.output().count(f"campaign {campaign_id} has ended") == 1
    assert "event webhook.test" in example.output()
    assert refused == 401
