"""Forecast the duration of a campaign: first the burst, then the refill, within sending hours and rate limits. Pure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatepost_core.campaigns.hours import SendingHours
    from gatepost_core.campaigns.model import Options
    from gatepost_operations.planning.tenant_quota import TenantQuota

HORIZON: Final = timedelta(days=3650)
"""A forecast does not look further ahead."""
_HOUR_S: Final = 3600.0
# Bucket sizes that Auth0 documents, with the slowest and the fastest refill in requests a second:
# https://auth0.com/docs/troubleshoot/customer-support/operational-policies/rate-limit-policy/rate-limit-configurations
_DOCUMENTED: Final[dict[int, tuple[float, float]]] = {
    25: (25, 25),
    50: (50 / _HOUR_S, 50 / _HOUR_S),
    100: (100, 100),
    200: (100, 100),
    300: (5, 100),
    400: (100, 100),
}


@dataclass(frozen=True, slots=True)
class Supply:
    """The part of the quota that a campaign can use.

    Attributes:
        burst: recipients that can be sent to at once.
        rate: recipients a second after the burst.
        room: the maximum to which the burst grows while nothing is sent.
    """

    burst: float
    rate: float
    room: float = 0.0

    def shared(self, recipients: int, others: Sequence[int]) -> Supply:
        """Return the part of one campaign beside others.

        Until it is done, each of the others gets as many permits as it, or as many as it needs.

        Args:
            recipients: the recipients of the campaign.
            others: the open recipients of each other campaign.
        """
        taken = sum(min(recipients, one) for one in others)
        part = recipients / (recipients + taken) if taken else 1.0
        return Supply(self.burst * part, self.rate * part, self.room * part)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time of sending without a pause, and its number of recipients."""

    begins: datetime
    ends: datetime
    recipients: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """The times of a campaign under one assumed supply.

    Attributes:
        supply: the assumed supply.
        begins: when the first message is sent.
        ends: when the last message is sent; None if that is after the deadline or the horizon.
        stretches: one for each opening of the sending hours.
        ceiling: the maximum rate of the campaign or the settings, in recipients a second.
        left: recipients that get no message before the deadline or the horizon.
    """

    supply: Supply
    begins: datetime
    ends: datetime | None
    stretches: tuple[Stretch, ...]
    ceiling: float | None = None
    left: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values; times are ISO 8601."""
        return {
            "burst": int(self.supply.burst),
            "rate": round(self.supply.rate, 6),
            "ceiling": self.ceiling,
            "begins": self.begins.isoformat(),
            "ends": self.ends and self.ends.isoformat(),
            "sending_s": round(sum((one.ends - one.begins).total_seconds() for one in self.stretches), 1),
            "stretches": len(self.stretches),
            "left": self.left,
        }


def forecast(
    recipients: int,
    supply: Supply,
    start: datetime,
    *,
    hours: SendingHours | None = None,
    ceiling: float | None = None,
    deadline: datetime | None = None,
) -> Forecast:
    """Return when a number of recipients have been sent to.

    In t seconds, a campaign sends at most `min(ceiling * t, burst + rate * t)` messages. Outside the sending hours, the burst grows
    again, at most to `supply.room`.

    Args:
        recipients: the number of recipients.
        supply: the part of the quota that the campaign can use.
        start: the earliest time of the first message.
        hours: the sending hours.
        ceiling: the maximum rate, in recipients a second.
        deadline: the latest time of the last message.
    """
    until = min(start + HORIZON, deadline or start + HORIZON)
    left, burst = recipients, supply.burst
    previous: datetime | None = None
    begins = start if hours is None else hours.next_opening(start)
    stretches: list[Stretch] = []
    for opens, closes in _open_times(start, until, hours):
        if previous is not None:
            burst = min(max(supply.room, burst), burst + supply.rate * (opens - previous).total_seconds())
        needed_s = seconds_for(left, burst, supply.rate, ceiling)
        longest_s = (closes - opens).total_seconds()
        if needed_s <= longest_s:
            ends = opens + timedelta(seconds=needed_s)
            return Forecast(supply, begins, ends, (*stretches, Stretch(opens, ends, left)), ceiling)
        sent = sent_within(longest_s, burst, supply.rate, ceiling)
        burst = max(0.0, burst + supply.rate * longest_s - sent)
        # The fraction of a recipient stays in the bucket.
        whole = min(left, int(sent + 1e-9))
        burst += sent - whole
        left -= whole
        stretches.append(Stretch(opens, closes, whole))
        previous = closes
    return Forecast(supply, begins, None, tuple(stretches), ceiling, left)


def seconds_for(recipients: float, burst: float, rate: float, ceiling: float | None) -> float:
    """Return the seconds that a number of recipients takes; infinity if it never ends."""
    by_ceiling = recipients / ceiling if ceiling else 0.0
    beyond = recipients - burst
    if beyond <= 0:
        return by_ceiling
    return max(by_ceiling, beyond / rate if rate > 0 else math.inf)


def sent_within(seconds: float, burst: float, rate: float, ceiling: float | None) -> float:
    """Return how many recipients can be sent to in a number of seconds."""
    by_quota = burst + rate * seconds
    return min(by_quota, ceiling * seconds) if ceiling else by_quota


def _open_times(start: datetime, until: datetime, hours: SendingHours | None) -> Iterator[tuple[datetime, datetime]]:
    if hours is None:
        if start < until:
            yield start, until
        return
    opens = hours.next_opening(start)
    while opens < until:
        closes = min(hours.closes_at(opens) or until, until)
        yield opens, closes
        opens = hours.next_opening(closes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """The number of rows that get no message, by cause."""

    invalid: int = 0
    duplicates: int = 0
    suppressed: int = 0
    not_guests: int = 0
    recent: int = 0

    @property
    def recipients(self) -> int:
        """The number of different valid recipients among them."""
        return self.suppressed + self.not_guests + self.recent

    @property
    def total(self) -> int:
        """The number of all these rows."""
        return self.invalid + self.duplicates + self.recipients


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentCampaign:
    """Another campaign, and its part of a file's recipients, by their states there."""

    campaign_id: str
    name: str
    accepted: int
    open: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentlySent:
    """What other campaigns of the last days have sent to a file's recipients.

    Attributes:
        within: how far back campaigns count.
        duration: the same as an operator types it.
        recipients: the recipients that at least one of them has accepted.
        left_out: whether these recipients are left out.
        campaigns: the campaigns that have some of the recipients, the newest first.
        looked_at: the number of campaigns in which the recipients were looked up.
        not_looked_at: names of the older campaigns, in which they were not.
    """

    within: timedelta
    duration: str
    recipients: int
    left_out: bool
    campaigns: tuple[RecentCampaign, ...]
    looked_at: int
    not_looked_at: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        values = asdict(self) | {"within_s": self.within.total_seconds()}
        return {name: value for name, value in values.items() if name not in {"within", "duration"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The plan of a campaign.

    Attributes:
        recipients: the number of recipients.
        skipped: the rows that get no message.
        quota: the learned quota.
        forecasts: one forecast if the refill has been learned; the slowest and the fastest possible one if only the level is known; none if
            the quota is unknown.
        deadline: the campaign's deadline.
        unknowns: the uncertainties of the plan, in sentences.
        recent: what other campaigns have sent to these recipients; None if there are none.
        file_sent_by: names of the other campaigns that have sent this file.
    """

    recipients: int
    skipped: Skipped
    quota: TenantQuota | None
    forecasts: tuple[Forecast, ...]
    deadline: datetime | None = None
    unknowns: tuple[str, ...] = ()
    recent: RecentlySent | None = None
    file_sent_by: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "recipients": self.recipients,
            "skipped": asdict(self.skipped),
            "quota": self.quota and self.quota.as_json(),
            "forecasts": [one.as_json() for one in self.forecasts],
            "deadline": self.deadline and self.deadline.isoformat(),
            "unknowns": list(self.unknowns),
            "recent": self.recent and self.recent.as_json(),
            "file_sent_by": list(self.file_sent_by),
        }


def plan(
    recipients: int,
    options: Options,
    quota: TenantQuota | None,
    now: datetime,
    *,
    skipped: Skipped | None = None,
    running: int = 0,
    others: Sequence[int] = (),
    recent: RecentlySent | None = None,
    file_sent_by: Sequence[str] = (),
    blocks: Sequence[str] = (),
    others_blocked: Sequence[str] = (),
) -> Plan:
    """Return the plan of a campaign, with its finish time.

    Args:
        recipients: the number of recipients.
        options: the campaign's options.
        quota: the learned quota of `passwordless/start`; None if it could not be read.
        now: the time of the start.
        skipped: the rows that get no message.
        running: the number of other campaigns under the same quota.
        others: the open recipients of each of them that has no rate and no block. They share the quota equally.
        recent: what other campaigns have sent to these recipients.
        file_sent_by: names of the other campaigns that have sent this file.
        blocks: sentences about the blocks of this campaign. With any, the finish time is unknown.
        others_blocked: sentences about the blocks of other campaigns.
    """
    start = max(now, options.start_at or now)
    if quota is not None:
        start = max(start, now + timedelta(seconds=quota.blocked_for_s))
    ceilings = [rate for rate in (options.rate, quota and quota.max_rate) if rate]
    supplies = [] if blocks or quota is None or not quota.is_known else _supplies(quota)
    forecasts = tuple(
        forecast(
            recipients,
            supply.shared(recipients, others),
            start,
            hours=options.hours,
            ceiling=min(ceilings, default=None),
            deadline=options.deadline,
        )
        for supply in supplies
    )
    return Plan(
        recipients=recipients,
        skipped=skipped or Skipped(),
        quota=quota,
        forecasts=forecasts,
        deadline=options.deadline,
        unknowns=(*blocks, *_unknowns(quota, running), *others_blocked),
        recent=recent,
        file_sent_by=tuple(file_sent_by),
    )


def _supplies(quota: TenantQuota) -> list[Supply]:
    if quota.is_learned:
        return [Supply(quota.burst, quota.rate_for_another, quota.room)]
    slow, fast = likely_rates(_smallest_limit(quota))
    return [Supply(quota.burst, rate, quota.room) for rate in sorted({slow, fast})]


def _smallest_limit(quota: TenantQuota) -> int:
    return min(bucket.limit for bucket in quota.buckets)


def likely_rates(limit: int) -> tuple[float, float]:
    """Return the slowest and the fastest refill of a bucket of this size: those that Auth0 documents, else its size per hour and per second."""
    return _DOCUMENTED.get(limit, (limit / _HOUR_S, float(limit)))


def _source_of_rates(limit: int) -> str:
    if limit in _DOCUMENTED:
        return "The plan uses the refill that Auth0 documents for a bucket of this size."
    return (
        "Auth0 documents no refill for a bucket of this size, so the plan assumes that the bucket fills up in an hour, or in "
        "a second."
    )


def _unknowns(quota: TenantQuota | None, running: int) -> Iterator[str]:
    if quota is None or not quota.is_known:
        yield "The quota is not known yet, so the finish time is unknown. The limiter learns the quota from the first answers."
    elif quota.blind:
        yield "The answers have no quota headers, so the limiter uses its fallback rate."
    elif not quota.is_learned:
        yield f"The refill is not known yet. {_source_of_rates(_smallest_limit(quota))}"
    else:
        yield "The load of other applications can change. These times assume the current load."
    if running:
        word = "campaign runs" if running == 1 else "campaigns run"
        yield f"{running:,} more {word} under this quota. The times leave each its rate, or an equal share."
    yield "With too few workers it takes longer. Accepted by Auth0 does not mean delivered."
