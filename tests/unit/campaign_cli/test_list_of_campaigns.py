"""The list of campaigns: a header, failures and times, and no line wider than the terminal."""

from __future__ import annotations

from datetime import timedelta

from gatepost_core.campaigns.model import Status
from gatepost_operations.cli.campaign.list_text import list_lines
from gatepost_operations.cli.wrapping import columns_of
from support.campaign_views import NOW, campaign_with

DAY = timedelta(days=1)


def test_the_list_has_a_header_failures_and_times() -> None:
    """A number that is zero and a time that does not exist are empty."""
    campaigns = [
        campaign_with(queued=1500, accepted=500, started_at=NOW),
        campaign_with(Status.DRAFT, name="autumn"),
        campaign_with(
            Status.FINISHED, name="winter", accepted=9, rejected=1200, exhausted=1, started_at=NOW - DAY, ended_at=NOW
        ),
        campaign_with(
            Status.CANCELLED, name="last year", cancelled=1, started_at=NOW - 365 * DAY, ended_at=NOW - 365 * DAY
        ),
    ]
    header, *lines = list_lines(campaigns, NOW, None)

    assert header.split() == ["name", "status", "recipients", "done", "failed", "started", "ended"]
    assert [line.split() for line in lines[:3]] == [
        ["spring", "running", "2,000", "25", "%", "09:00"],
        ["autumn", "draft", "0"],
        ["winter", "finished", "1,210", "100", "%", "1,201", "May", "03", "09:00", "May", "04", "09:00"],
    ]
    assert lines[3].split()[-2:] == ["2025-05-04", "09:00"]


def test_no_line_of_the_list_is_wider_than_the_terminal() -> None:
    """Names are cut, also wide ones, and the columns stay aligned; unknown recipients have a column if there are any."""
    numbers = {"accepted": 9_000_000, "rejected": 900_000, "unknown": 99_000}
    times = {"started_at": NOW - 40 * DAY, "ended_at": NOW}
    campaigns = [
        campaign_with(Status.FINISHED, name=name, shares_name=True, **numbers, **times)
        for name in ("Kundenliste Frühjahr 2027 für alle Filialen", "顧客" * 30, "short", "\x1b[2J" * 9)
    ]
    lines = list(list_lines(campaigns, NOW, 80))
    short = list(list_lines([campaign_with(accepted=1, started_at=NOW)], NOW, 80))

    assert max(map(columns_of, [*lines, *short])) <= 80
    assert len({line.rstrip().endswith("09:00") for line in lines[1:]}) == 1
    assert "unknown" in lines[0]
    assert "unknown" not in short[0]
    assert "\x1b" not in "".join(lines)
    assert all("…" in line for line in (lines[1], lines[2], lines[4]))


def test_what_is_wrong_with_a_campaign_is_beneath_it() -> None:
    """Counts that do not add up are named, with the command that counts again."""
    lines = list(list_lines([campaign_with(accepted=1, total=2)], NOW, 80))

    assert "do not add up" in lines[2]
