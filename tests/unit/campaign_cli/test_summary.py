"""The summary of a campaign that has ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gatepost_core.campaigns.model import Options, Status
from gatepost_core.commands import OnUnknown
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.cli.campaign.summary import cost_text, took_text, what_next
from gatepost_operations.cli.campaign.text import campaign_lines
from support.campaign_views import NOW, campaign_with

ENDED: dict[str, Any] = {"started_at": NOW, "ended_at": NOW + timedelta(minutes=3, seconds=20)}
REASONS = {
    (State.REJECTED, Reason.RECIPIENT_REJECTED): 30,
    (State.EXHAUSTED, Reason.NOT_REACHED): 20,
    (State.UNKNOWN, Reason.ANSWER_LOST): 10,
}


def test_the_summary_has_time_rate_cost_and_shares() -> None:
    """In at most 80 columns, with grouped thousands."""
    campaign = campaign_with(
        Status.FINISHED, accepted=19_940, rejected=30, exhausted=20, unknown=10, reasons=REASONS, **ENDED
    )
    lines = list(campaign_lines(campaign, NOW))

    assert "took        3 min 20 s, 100.0/s on average" in lines
    assert "recipients  20,000" in lines
    assert "cost        19,940 messages and up to 10 more for unknown recipients" in lines


@pytest.mark.parametrize(
    ("given", "cost"),
    [
        ({"accepted": 1}, "1 message"),
        ({"accepted": 3, "suppressed": 1}, "3 messages"),
        ({"accepted": 3, "options": Options(on_unknown=OnUnknown.RESEND)}, "at least 3 messages"),
        ({"status": Status.RUNNING, "accepted": 3, "queued": 1}, ""),
    ],
)
def test_the_cost_is_what_auth0_accepted(given: dict[str, Any], cost: str) -> None:
    """With `resend`, an accepted recipient may have had an earlier message."""
    assert cost_text(campaign_with(**{"status": Status.FINISHED, **given})) == cost


def test_a_very_short_campaign_has_a_time_too() -> None:
    """A rate needs some time; a draft that was cancelled has neither."""
    short = campaign_with(Status.FINISHED, accepted=1, started_at=NOW, ended_at=NOW + timedelta(milliseconds=500))

    assert took_text(short) == "less than a second, 2.0/s on average"
    assert took_text(campaign_with(Status.FINISHED, accepted=1, started_at=NOW, ended_at=NOW)) == "less than a second"
    assert took_text(campaign_with(Status.CANCELLED)) == ""


@pytest.mark.parametrize(
    ("counts", "reasons"),
    [
        ({"accepted": 5}, {}),
        ({"accepted": 5, "suppressed": 2}, {}),
        ({"rejected": 30}, {(State.REJECTED, Reason.RECIPIENT_REJECTED): 30}),
        ({"exhausted": 20}, {(State.EXHAUSTED, Reason.NOT_REACHED): 20}),
        ({"unknown": 10}, {(State.UNKNOWN, Reason.ANSWER_LOST): 10}),
        ({"rejected": 30, "exhausted": 20, "unknown": 10}, REASONS),
    ],
)
@pytest.mark.parametrize("status", [Status.FINISHED, Status.CANCELLED])
def test_three_commands_follow_every_end(status: Status, counts: dict[str, int], reasons: Any) -> None:
    """Each names the campaign, and no line wraps at 80 columns."""
    lines = list(what_next(campaign_with(status, reasons=reasons, **counts)))
    commands = [line.partition("gatepost ")[2] for line in lines if "gatepost " in line]

    assert len(commands) == 3
    assert len({command.split()[1] for command in commands} - {"retry"}) >= 1
    assert all("spring" in command for command in commands)
    assert max(map(len, lines)) <= 80
