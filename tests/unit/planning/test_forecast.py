"""The duration of a campaign: first the burst, then the refill, within hours, rates and deadlines."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from gatepost_core.campaigns.hours import SendingHours
from gatepost_core.campaigns.model import Options
from gatepost_operations.planning.plan import Skipped, Supply, forecast, likely_rates, plan, seconds_for, sent_within
from gatepost_operations.planning.tenant_quota import Bucket, CampaignRate, TenantQuota

MONDAY = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
NINE_TO_FIVE = SendingHours.parse("09:00-17:00", "UTC")


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


@pytest.mark.parametrize(
    ("recipients", "burst", "rate", "ceiling", "seconds"),
    [
        (0, 0, 1, None, 0),
        (80, 80, 100, None, 0),
        (180, 80, 100, None, 1),
        (180, 80, 50, None, 2),
        # A ceiling below the refill: the burst is of no use.
        (100, 80, 100, 10, 10),
        # A ceiling above it: the burst drains at the difference, here 80 in 2 s, and the refill does the rest.
        (100, 80, 10, 50, 2),
        (180, 80, 10, 50, 10),
        # The ceiling holds even while the burst would do.
        (50, 80, 10, 5, 10),
        (81, 80, 0, None, math.inf),
        (80, 80, 0, 1, 80),
        # Fifty an hour, the documented limit of one IP address.
        (550, 50, 50 / 3600, None, 36_000),
    ],
)
def test_the_time_of_a_number_of_recipients(
    recipients: int, burst: float, rate: float, ceiling: float | None, seconds: float
) -> None:
    """And in that time that many can be sent to: the two functions are each other's inverse."""
    assert seconds_for(recipients, burst, rate, ceiling) == pytest.approx(seconds)
    if 0 < seconds < math.inf:
        assert sent_within(seconds, burst, rate, ceiling) == pytest.approx(recipients)


def test_without_hours_it_is_one_stretch() -> None:
    """From the start to the last recipient."""
    found = forecast(1080, Supply(80, 10, 80), MONDAY)

    assert found.begins == MONDAY
    assert found.ends == MONDAY + timedelta(seconds=100)
    assert [one.recipients for one in found.stretches] == [1080]
    assert found.left == 0


def test_nothing_leaves_before_the_hours_open() -> None:
    """A start at eight waits until nine."""
    found = forecast(3600, Supply(0, 1), MONDAY, hours=NINE_TO_FIVE)

    assert found.begins == MONDAY + hours(1)
    assert found.ends == MONDAY + hours(2)


def test_what_the_day_does_not_hold_goes_on_the_next() -> None:
    """Eight hours at one a second are 28,800; the others follow on Tuesday, after the bucket has filled up."""
    found = forecast(28_800 + 3_600 + 50, Supply(0, 1, room=50), MONDAY, hours=NINE_TO_FIVE)

    assert [one.recipients for one in found.stretches] == [28_800, 3_650]
    assert found.ends == MONDAY + hours(24 + 1 + 1)


def test_the_burst_counts_once_a_day_and_never_above_its_room() -> None:
    """Whatever flows in at night beyond the size is lost."""
    found = forecast(300, Supply(100, 1 / 3600, room=100), MONDAY, hours=NINE_TO_FIVE)

    # 100 at once and 8 in the day; 16 more at night; and so on.
    assert [one.recipients for one in found.stretches[:3]] == [108, 24, 24]
    assert sum(one.recipients for one in found.stretches) == 300


def test_a_start_in_the_hours_begins_at_once() -> None:
    """And hours that span midnight are one stretch."""
    night = SendingHours.parse("22:00-06:00", "UTC")
    found = forecast(2 * 3600, Supply(0, 1), MONDAY + hours(15), hours=night)

    assert found.begins == MONDAY + hours(15)
    assert found.ends == MONDAY + hours(17)
    assert len(found.stretches) == 1


def test_a_clock_change_moves_the_opening() -> None:
    """09:00 in Berlin is 08:00 UTC in winter and 07:00 in summer."""
    berlin = SendingHours.parse("09:00-10:00", "Europe/Berlin")
    saturday = datetime(2026, 3, 28, 0, 0, tzinfo=UTC)
    found = forecast(5000, Supply(0, 1), saturday, hours=berlin)

    assert [one.begins.hour for one in found.stretches] == [8, 7]


def test_a_deadline_leaves_the_rest() -> None:
    """They become expired; the forecast has no end."""
    found = forecast(100, Supply(0, 1), MONDAY, deadline=MONDAY + timedelta(seconds=60))

    assert (found.ends, found.left) == (None, 40)


def test_a_deadline_before_the_start_leaves_everybody() -> None:
    """Nothing can be sent."""
    found = forecast(100, Supply(100, 1), MONDAY, deadline=MONDAY - hours(1))

    assert (found.ends, found.left, found.stretches) == (None, 100, ())


def test_a_flow_of_nothing_never_ends() -> None:
    """No quota beyond the burst, so the horizon is reached."""
    found = forecast(100, Supply(10, 0, 10), MONDAY)

    assert (found.ends, found.left) == (None, 90)


def test_ten_million_at_fifty_an_hour_is_computed_to_the_horizon_only() -> None:
    """Twenty years are not walked through day by day."""
    found = forecast(10_000_000, Supply(50, 50 / 3600, 50), MONDAY, hours=NINE_TO_FIVE)

    assert found.ends is None
    assert len(found.stretches) == 3650
    assert sum(one.recipients for one in found.stretches) + found.left == 10_000_000


def bucket(**changes: float) -> Bucket:
    fields: dict[str, float] = {
        "limit": 100,
        "level": 100,
        "reserve": 20,
        "available_rate": 70,
        "refill_rate": 100,
        "foreign_rate": 30,
    }
    return Bucket(**{**fields, **changes})  # type: ignore[arg-type] # the names are the bucket's own


def quota(**changes: object) -> TenantQuota:
    fields: dict[str, object] = {"tenant": "default", "endpoint": "passwordless/start", "bucket": bucket()}
    return TenantQuota(**{**fields, **changes})  # type: ignore[arg-type] # the names are the quota's own


def test_a_learned_quota_gives_one_forecast() -> None:
    """The burst above the reserve comes first, then the refill that others leave."""
    made = plan(780, Options(), quota(), MONDAY, skipped=Skipped(invalid=2, duplicates=3))

    [found] = made.forecasts
    assert found.supply == Supply(80, 70, 80)
    assert found.ends == MONDAY + timedelta(seconds=10)
    assert made.skipped.total == 5
    assert "load of other applications" in made.unknowns[0]


def test_a_policy_of_the_client_counts_too() -> None:
    """The tighter of the two buckets decides, in each respect."""
    policy = bucket(limit=10, level=9, reserve=2, available_rate=90, refill_rate=90)
    made = plan(1000, Options(), quota(policy=policy), MONDAY)

    assert made.forecasts[0].supply == Supply(7, 70, 8)


def test_an_unlearned_refill_is_taken_from_the_documentation_and_said() -> None:
    """A bucket of 300 is five a second on one plan and a burst over a hundred on another: both are shown, the slower first."""
    unlearned = bucket(limit=300, level=300, reserve=60, available_rate=0, refill_rate=0)
    made = plan(10_000, Options(), quota(bucket=unlearned), MONDAY)

    assert [one.supply.rate for one in made.forecasts] == [5, 100]
    assert "not known yet" in made.unknowns[0]


@pytest.mark.parametrize(
    ("limit", "source"),
    [(300, "the refill that Auth0 documents"), (7, "Auth0 documents no refill for a bucket of this size")],
)
def test_a_plan_says_whether_auth0_documents_the_refill(limit: int, source: str) -> None:
    """For another size, the two forecasts are assumptions."""
    unlearned = bucket(limit=limit, level=limit, reserve=1, available_rate=0, refill_rate=0)
    made = plan(10_000, Options(), quota(bucket=unlearned), MONDAY)

    assert [source in made.unknowns[0], len(made.forecasts)] == [True, 2]


@pytest.mark.parametrize(("limit", "rates"), [(25, (25, 25)), (50, (50 / 3600, 50 / 3600)), (7, (7 / 3600, 7))])
def test_likely_rates(limit: int, rates: tuple[float, float]) -> None:
    """A size that is not documented is anything between its size an hour and its size a second."""
    assert likely_rates(limit) == pytest.approx(rates)


def test_an_unknown_quota_gives_no_forecast() -> None:
    """No finish time is better than a guess."""
    for unknown in (None, quota(bucket=None)):
        made = plan(100, Options(), unknown, MONDAY)
        assert made.forecasts == ()
        assert "not known" in made.unknowns[0]


def test_without_headers_the_fallback_rate_holds() -> None:
    """One a second, and no burst."""
    made = plan(100, Options(), quota(bucket=None, blind=True, fallback_rate=1.0), MONDAY)

    assert made.forecasts[0].ends == MONDAY + timedelta(seconds=100)


def test_start_block_ceiling_and_others_are_heeded() -> None:
    """The latest of start and block, the lowest ceiling, and a word on who shares the quota."""
    options = Options(start_at=MONDAY + hours(1), rate=5)
    later = plan(100, options, quota(max_rate=10, blocked_for_s=60), MONDAY, running=2)
    blocked = plan(100, Options(rate=20), quota(max_rate=10, blocked_for_s=60), MONDAY)

    assert later.forecasts[0].ends == MONDAY + hours(1) + timedelta(seconds=20)
    assert blocked.forecasts[0].ends == MONDAY + timedelta(seconds=70)
    assert any(sentence.startswith("2 more campaigns run") for sentence in later.unknowns)


def test_a_missed_deadline_is_known_beforehand() -> None:
    """Even in the fastest forecast some recipients expire."""
    options = Options(deadline=MONDAY + timedelta(seconds=5))

    assert plan(10_000, options, quota(), MONDAY).forecasts[-1].left > 0
    assert plan(100, options, quota(), MONDAY).forecasts[-1].left == 0


@pytest.mark.parametrize(("rates", "left"), [((), 10), ((2,), 8), ((2, 3), 5), ((30,), 5), ((30, 30), 10 / 3)])
def test_a_plan_leaves_running_campaigns_their_rates(rates: tuple[float, ...], left: float) -> None:
    """One more campaign gets the rest, and an equal share where the rates exceed the refill."""
    running = tuple(CampaignRate(campaign_id=f"{number}", name="other", rate=rate) for number, rate in enumerate(rates))
    known = quota(bucket=bucket(available_rate=10.0), campaigns=running)

    assert plan(100, Options(), known, MONDAY).forecasts[0].supply.rate == pytest.approx(left)
