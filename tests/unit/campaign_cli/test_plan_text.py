"""The plan as an operator reads it: times in plain words and with their zone, within 80 columns."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.hours import SendingHours
from gatepost_core.campaigns.model import Options
from gatepost_operations.cli.campaign.plan_text import plan_lines
from gatepost_operations.planning.plan import RecentCampaign, RecentlySent, Skipped, plan
from gatepost_operations.planning.tenant_quota import Bucket, TenantQuota

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 29, 15, 36, 41, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The operator's machine is in Berlin."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def quota(rate: float = 100.0) -> TenantQuota:
    bucket = Bucket(limit=100, level=100.0, reserve=20, available_rate=rate, refill_rate=100.0, foreign_rate=0.0)
    return TenantQuota(tenant="default", endpoint="passwordless/start", bucket=bucket)


def lines_of(recipients: int, now: datetime = NOW, rate: float = 100.0, **given: Any) -> list[str]:
    fields = {name: given.pop(name) for name in ("hours", "deadline", "rate_limit", "start_at") if name in given}
    options = Options(**{"rate" if name == "rate_limit" else name: value for name, value in fields.items()})
    made = plan(recipients, options, quota(rate), now, **given)
    return list(plan_lines(made, options.hours, now))


def times(lines: list[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines if line.strip().startswith(("begins", "finishes", "deadline"))]


def test_the_finish_time_is_local_with_its_zone_and_the_time_until_then() -> None:
    """In the zone of the operator's machine, which is an hour ahead of UTC."""
    assert times(lines_of(19_980)) == ["finishes today 16:40 CET, in 3 min 19 s"]


@pytest.mark.parametrize(
    ("others", "finish"),
    [
        ([], "finishes today 16:40 CET, in 3 min 19 s"),
        ([19_980], "finishes today 16:43 CET, in 6 min 39 s"),
        ([1_000], "finishes today 16:40 CET, in 3 min 29 s"),
        ([10**9, 10**9], "finishes today 16:46 CET, in 9 min 59 s"),
    ],
)
def test_running_campaigns_get_their_share_of_the_quota(others: list[int], finish: str) -> None:
    """An equal one until they are done: the time of a small campaign beside it adds little."""
    assert times(lines_of(19_980, others=others, running=len(others))) == [finish]


def test_hours_across_midnight_are_one_stretch() -> None:
    """The campaign begins this evening and ends in the night."""
    hours = SendingHours.parse("22:00-06:00", "Europe/Berlin")

    assert times(lines_of(7 * 3600, rate=1.0, hours=hours)) == [
        "begins today 22:00 CET, in 5 h 23 min",
        "finishes tomorrow 04:58 CET, in 12 h 21 min",
    ]


@pytest.mark.parametrize(
    ("now", "begins"),
    [
        # The clock goes forward at 02:00 on Sunday, 2027-03-28: this opening does not exist, and the next day's is taken.
        (datetime(2027, 3, 27, 12, tzinfo=UTC), "begins Monday 02:30 CEST, in 36 h 30 min"),
        # 12:00 UTC is 13:00 CET before the change, and 09:00 CEST the next day is 07:00 UTC.
        (datetime(2027, 3, 26, 12, tzinfo=UTC), "begins tomorrow 02:30 CET, in 13 h 30 min"),
        # The clock goes back at 03:00 on Sunday, 2026-10-25.
        (datetime(2026, 10, 24, 12, tzinfo=UTC), "begins tomorrow 02:30 CEST, in 12 h 30 min"),
    ],
)
def test_an_opening_around_a_change_of_the_clock_has_the_zone_that_is_valid_then(now: datetime, begins: str) -> None:
    """The time until then counts real hours."""
    hours = SendingHours.parse("02:30-03:00", "Europe/Berlin")

    assert times(lines_of(10, now, hours=hours))[0] == begins


def test_times_are_in_the_zone_of_the_hours() -> None:
    """They are the recipients' hours, and the zone says so."""
    hours = SendingHours.parse("09:00-18:00", "America/New_York")

    assert times(lines_of(10, hours=hours)) == ["finishes today 10:36 EST, in 0 s"]


def test_times_without_hours_are_in_the_given_zone() -> None:
    """The operator's machine is in another one."""
    options = Options(deadline=NOW + timedelta(days=2))
    made = plan(10, options, quota(), NOW)
    lines = list(plan_lines(made, None, NOW, "Asia/Tokyo"))

    assert times(lines) == ["finishes today 00:36 JST, in 0 s", "deadline Wednesday 00:36 JST, in 2 d"]


def test_a_deadline_is_in_plain_words_too() -> None:
    """With the recipients who would get nothing before it."""
    lines = lines_of(10_000, rate_limit=1.0, deadline=NOW + timedelta(days=2))

    assert times(lines) == ["finishes today 19:23 CET, in 2 h 46 min", "deadline Tuesday 16:36 CET, in 2 d"]


def test_no_line_of_a_plan_is_wider_than_a_terminal() -> None:
    """Whatever there is to say."""
    recent = RecentlySent(
        within=timedelta(days=7),
        duration="7d",
        recipients=1_234_567,
        left_out=False,
        campaigns=tuple(
            RecentCampaign(
                campaign_id=str(one),
                name=f"A campaign with a long name {one}",
                accepted=10**6,
                open=10**6,
                unknown=10**6,
            )
            for one in range(3)
        ),
        looked_at=20,
        not_looked_at=tuple(f"An older campaign {one}" for one in range(9)),
    )
    skipped = Skipped(invalid=10**6, duplicates=10**6, suppressed=10**6, not_guests=10**6, recent=10**6)
    lines = lines_of(
        10**7,
        recent=recent,
        skipped=skipped,
        running=3,
        others=[5],
        file_sent_by=["spring"] * 30,
        others_blocked=["x " * 99],
    )

    assert max(map(len, lines)) <= 80
    assert "Not looked at: 9 older campaigns:" in " ".join(" ".join(lines).split())
