"""The dashboard over a real campaign: each panel's expressions return data. `make oncall` runs it, and draws the panels.

Grafana is in neither Debian nor PyPI, so the picture is drawn from Prometheus's answers.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.model import Options
from gatepost_core.kinds import Channel
from gatepost_core.probe_results import ProbeResult, ProbeResults, Step
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_simulator.server import SimulatorServer
from support.campaign_parts import rows
from support.checkout import CHECKOUT
from support.dashboard_picture import draw
from support.keys import KEYS
from support.monitored_fleet import Fleet
from support.prometheus_server import PrometheusServer
from support.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.oncall, pytest.mark.timeout(400)]

DASHBOARD = CHECKOUT / "deploy" / "grafana" / "gatepost.json"
_STEP_S = 2.0


def test_every_panel_shows_a_real_campaign(tmp_path: Path) -> None:
    """With logins beside it, faults in between, and a login probe. A panel for a trouble that did not occur shows 0."""
    panels = [panel for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]
    began = time.time()
    with (
        SimulatorServer(tls=True, quota={"plan": "enterprise"}) as simulator,
        EmbeddedValkey(tmp_path / "valkey") as valkey,
        Stack(valkey, simulator, tmp_path) as stack,
        Fleet(stack) as fleet,
        PrometheusServer(tmp_path / "prometheus", fleet.targets) as prometheus,
    ):
        # Rates need the counters' values from before the work.
        stack.until(lambda: len(prometheus.query("gatepost_attempts_total")) > 0, "Prometheus has figures")
        _work(stack)
        end = time.time()
        found = {
            panel["title"]: [
                (target, prometheus.query_range(_shortened(target["expr"]), start=began, end=end, step_s=_STEP_S))
                for target in panel["targets"]
            ]
            for panel in panels
        }
    picture = draw(panels, found, start=began, end=end)
    (CHECKOUT / "build").mkdir(exist_ok=True)
    (CHECKOUT / "build" / "dashboard.svg").write_text(picture, encoding="utf-8")

    assert [(title, target["expr"]) for title, one in found.items() for target, series in one if not series] == []


def _work(stack: Stack) -> None:
    """Send a campaign with a few faults, and log people in beside it."""
    control = stack.simulator.control
    with stack.redis() as client:
        client.config_set("maxmemory", 200_000_000)
        result = ProbeResult(ended_at=datetime.now(UTC), reason="ok", step=None, seconds=dict.fromkeys(Step, 0.4))
        ProbeResults(client, KEYS).store("default", Channel.EMAIL, result)
    with stack.producer() as producer:
        producer.campaigns.suppressions.add("person7@example.com")
        campaign = producer.campaigns.create("spring", Options(pause_after_errors=None, pause_above_error_share=None))
        producer.campaigns.add(campaign, rows(3000))
        producer.campaigns.start(campaign)
        for number in range(40):
            if number == 10:
                control.script_fault(endpoint="/passwordless/start", status=429, error="too_many_requests", count=1)
            if number == 20:
                control.script_fault(endpoint="/passwordless/start", when="after", drop="close", count=3)
            if number == 25:
                control.script_fault(endpoint="/passwordless/start", status=400, error="bad.email", count=5)
            _log_in(producer, control, f"guest{number}@example.com")
        finished: Any = producer.campaigns.status
        stack.until(lambda: not finished(campaign).open, "the campaign is done", timeout=150)
    time.sleep(3 * _STEP_S)


def _log_in(producer: Any, control: Any, guest: str) -> None:
    if producer.send_email(guest, on_unknown="hold").wait(60).state == "accepted":
        producer.login_with_email(guest, control.latest_code(guest, wait_s=30)).wait(60)


def _shortened(expression: str) -> str:
    """The campaign takes a minute, so rates of minutes become rates of ten seconds."""
    for window in ("[1m]", "[5m]"):
        expression = expression.replace(window, "[10s]")
    return expression
