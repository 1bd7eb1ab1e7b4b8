"""What watching writes: lines where there is no terminal, a JSON object a line when asked."""

from __future__ import annotations

import io
import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.model import Pause, PauseReason, Status
from gatepost_operations.cli.campaign.progress import CampaignDisplay, Events, campaign_display, waiting_text
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.progress import Lines
from gatepost_operations.planning.tenant_quota import Bucket, TenantQuota
from gatepost_operations.planning.watch import snapshot_of
from support.campaign_views import NOW, campaign_with

if TYPE_CHECKING:
    from gatepost_core.campaigns.model import Campaign

QUOTA = TenantQuota(
    tenant="default",
    endpoint="passwordless/start",
    bucket=Bucket(limit=100, level=28.4, reserve=20, available_rate=99, refill_rate=99, foreign_rate=0),
)


def shown(campaign: Campaign, quota: TenantQuota | None = None, note: str = "") -> str:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        CampaignDisplay(Lines(5, monotonic=lambda: 0.0)).show(snapshot_of(campaign, NOW), quota, note)
    return stream.getvalue()


def test_a_line_tells_everything() -> None:
    """Sent, failed, put off, unknown, rate, quota, finish."""
    campaign = campaign_with(queued=990, deferred=10, accepted=1000, rejected=7, expired=2, unknown=1, rate=50.0)

    assert shown(campaign, QUOTA) == (
        "1,010 of 2,010 · 1,000 accepted · 9 failed · 10 deferred · 1 unknown · 50.0/s · quota 28 of 100 left"
        " · done in about 20 s\n"
    )


def test_a_rest_says_until_when() -> None:
    """By the campaign's hours or the quota."""
    text = shown(campaign_with(queued=1, rests_until=NOW + timedelta(hours=1)))

    assert "rests until 2026-05-04" in text


@pytest.mark.parametrize(
    ("campaign", "says"),
    [
        (campaign_with(Status.DRAFT, queued=1), "gatepost campaign start"),
        (campaign_with(Status.PAUSED, queued=1, pause=Pause(PauseReason.BY_OPERATOR)), "gatepost campaign resume"),
        (campaign_with(Status.CANCELLING, in_flight=1), "being cancelled"),
    ],
)
def test_what_does_not_send_says_why(campaign: Campaign, says: str) -> None:
    """With the command that changes it."""
    assert says in shown(campaign)


@pytest.mark.parametrize(("workers", "says"), [(0, "gatepost worker --queues bulk"), (None, "worker"), (2, "log")])
def test_waiting_says_what_to_do(workers: int | None, says: str) -> None:
    """Start a worker; or look at the one there is."""
    assert says in waiting_text(workers)


def test_lines_come_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """And at once when something else has to be said, or at the end."""
    ticks = iter([0.0, 0.0, 1.0, 2.0, 3.0, 8.0, 9.0])
    lines = CampaignDisplay(Lines(5, monotonic=lambda: next(ticks)))
    running, finished = campaign_with(queued=1), campaign_with(Status.FINISHED, accepted=1)
    for note in ("", "", "waiting", "waiting", "waiting"):
        lines.show(snapshot_of(running, NOW), None, note)
    lines.show(snapshot_of(finished, NOW), None, "")

    assert len(capsys.readouterr().err.splitlines()) == 4


def test_events_are_one_object_a_line_and_end_with_one_result(capsys: pytest.CaptureFixture[str]) -> None:
    """An unchanged status is not repeated."""
    events = Events()
    running, finished = campaign_with(queued=1), campaign_with(Status.FINISHED, rejected=1)
    for campaign in (running, running, finished):
        events.show(snapshot_of(campaign, NOW), QUOTA, "")
    events.result(finished, ExitCode.NOT_ACCEPTED)
    seen = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [one["event"] for one in seen] == ["progress", "progress", "result"]
    assert seen[0]["quota_left"] == 28
    assert (seen[-1]["status"], seen[-1]["exit_code"], seen[-1]["counts"]["rejected"]) == ("finished", 3, 1)


def test_a_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one, nothing is drawn."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)

    with campaign_display(as_json=False, every_s=1) as display:
        display.show(snapshot_of(campaign_with(queued=1, accepted=3, rate=1.0), NOW), QUOTA, "look here")
    assert "3 accepted" in terminal.getvalue()
    assert "look here" in terminal.getvalue()
