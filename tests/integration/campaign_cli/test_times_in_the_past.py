"""A time that must be ahead is refused if it is in the past, by the commands and by the Python interface."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost.errors import CampaignConflict, InvalidCommand
from gatepost_core.campaigns.model import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost.campaigns.control import Campaigns

    Run = Callable[..., tuple[int, Any]]
    People = Callable[..., str]

PAST = "2020-01-01T00:00Z"


@pytest.mark.parametrize(
    ("command", "field"),
    [
        ("suppression add ana@example.com --expires", "expires"),
        ("suppression import people.csv --expires", "expires"),
        ("campaign create summer --start-at", "start_at"),
        ("campaign create summer --deadline", "deadline"),
        ("campaign change spring --deadline", "deadline"),
        ("campaign retry spring --state cancelled --deadline", "deadline"),
        ("campaign plan people.csv --offline --start-at", "start_at"),
        ("campaign plan people.csv --offline --deadline", "deadline"),
        ("campaign send people.csv --no-watch --yes --start-at", "start_at"),
    ],
)
def test_a_command_refuses_a_past_time(
    run: Run, people: People, campaigns: Campaigns, command: str, field: str
) -> None:
    """The error names the field, and nothing changes."""
    spring, file = campaigns.create("spring"), people(3)
    code, error = run(*command.replace("people.csv", file).split(), PAST)

    assert (code, error["error"]["problems"]) == (2, [{"field": field, "problem": "is in the past; give a later time"}])
    assert [one.campaign_id for one in campaigns.list()] == [spring]
    assert campaigns.status(spring).options.deadline is None
    assert len(campaigns.suppressions) == 0


def test_python_refuses_a_past_time(campaigns: Campaigns) -> None:
    """A minute ago counts as now, because clocks differ."""
    past = datetime.now(UTC) - timedelta(minutes=5)
    spring = campaigns.create("spring", Options(start_at=datetime.now(UTC) - timedelta(seconds=5)))
    calls: list[Callable[[], object]] = [
        lambda: campaigns.create("summer", Options(start_at=past)),
        lambda: campaigns.create("summer", Options(deadline=past)),
        lambda: campaigns.change_deadline(spring, past),
        lambda: campaigns.suppressions.add("ana@example.com", expires_at=past),
        lambda: campaigns.suppressions.import_rows([], expires_at=past),
    ]
    for call in calls:
        with pytest.raises(InvalidCommand, match="is in the past; give a later time"):
            call()

    assert [one.campaign_id for one in campaigns.list()] == [spring]
    assert [entry.action for entry in campaigns.audit.entries()] == ["campaign.create"]


def test_the_times_of_a_campaign_that_exists_may_have_passed(campaigns: Campaigns) -> None:
    """A call that creates the campaign again is compared with the stored options."""
    own_id = campaigns.create("spring", campaign_id=str(uuid.uuid4()))

    with pytest.raises(CampaignConflict, match="start_at"):
        campaigns.create("spring", Options(start_at=datetime(2020, 1, 1, tzinfo=UTC)), campaign_id=own_id)
