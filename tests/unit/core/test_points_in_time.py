"""Times at the ends of the calendar are refused, in options, commands and the entries of the suppression list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from gatepost.errors import InvalidCommand
from gatepost_core.campaigns.model import Options
from gatepost_core.commands import SendEmail
from gatepost_operations.cli.campaign.delivery_options import DeliveryOptions
from gatepost_operations.cli.inputs import deadline_in
from gatepost_operations.cli.time_input import read_moment, read_past_moment

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("at", [LAST, FIRST, datetime(2100, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize(
    "make",
    [
        lambda at: Options(start_at=at),
        lambda at: Options(deadline=at),
        lambda at: SendEmail(email="ana@example.com", deadline=at),
        lambda at: DeliveryOptions(start_at=at.isoformat()).options(Options().channel, now=NOW),
        lambda at: read_moment(at.isoformat(), "deadline", now=NOW),
        lambda at: read_past_moment(at.isoformat(), "since", now=NOW),
    ],
    ids=["start_at", "deadline", "command", "--start-at", "moment", "past moment"],
)
def test_a_time_far_away_is_refused_with_the_years_that_are_accepted(at: datetime, make: Callable[[Any], Any]) -> None:
    """Otherwise a time zone or a forecast would leave Python's calendar later on."""
    with pytest.raises((ValidationError, InvalidCommand), match="between the years 1970 and 2099"):
        make(at)


def test_a_duration_that_leads_far_away_is_refused() -> None:
    """A number of seconds, and a duration ago."""
    with pytest.raises(InvalidCommand, match="1970 and 2099"):
        deadline_in(1e10)
    with pytest.raises(InvalidCommand, match="1970 and 2099"):
        read_past_moment("99999d", "since", now=NOW)


def test_the_last_year_is_accepted() -> None:
    """The limit is inclusive."""
    at = datetime(2099, 12, 31, tzinfo=UTC)

    assert Options(start_at=at).start_at == at
