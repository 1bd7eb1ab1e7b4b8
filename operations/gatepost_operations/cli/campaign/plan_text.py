"""A plan as lines of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_operations.cli.campaign.lines import labelled
from gatepost_operations.formatting import counted, duration_text, rate_text, time_left_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatepost_core.campaigns.hours import SendingHours
    from gatepost_operations.planning.plan import Forecast, Plan, RecentlySent, Skipped
    from gatepost_operations.planning.tenant_quota import TenantQuota

_PRECISE_S = 1.0


def plan_lines(plan: Plan, hours: SendingHours | None, now: datetime, timezone: str | None = None) -> Iterator[str]:
    """Describe a plan.

    Args:
        plan: the plan.
        hours: the sending hours. Times are in their timezone.
        now: the current time.
        timezone: the IANA name of the timezone of times without sending hours [default: this machine's timezone].
    """
    timezone = hours.timezone if hours else timezone
    if plan.skipped.total:
        yield from labelled("skipped", _skipped(plan.skipped))
    if plan.file_sent_by:
        yield from labelled("sent before", f"this file, by {', '.join(plan.file_sent_by)}")
    if plan.recent is not None:
        yield from _recent_lines(plan.recent)
    if plan.quota is not None:
        yield from labelled("quota", quota_line(plan.quota))
    if hours:
        yield from labelled("hours", str(hours))
    for forecast in plan.forecasts:
        yield from _forecast_lines(forecast, plan, timezone, now)
    if plan.deadline is not None:
        yield from labelled("deadline", time_left_text(plan.deadline, now, timezone))
    for number, sentence in enumerate(plan.unknowns):
        yield from labelled("" if number else "not known", sentence)


def _recent_lines(recent: RecentlySent) -> Iterator[str]:
    within = duration_text(recent.within.total_seconds())
    if recent.recipients:
        verb = "was" if recent.recipients == 1 else "were"
        text = f"{counted(recent.recipients, 'recipient')} {verb} accepted by other campaigns of the last {within}"
        yield from labelled("recently", f"{text}{'; left out' if recent.left_out else ''}:")
    elif recent.looked_at:
        text = f"no recipient was accepted by {counted(recent.looked_at, 'other campaign')} of the last {within}"
        yield from labelled("recently", text)
    for one in recent.campaigns:
        others = [
            f"{number:,} {word}" for number, word in ((one.open, "still open"), (one.unknown, "unknown")) if number
        ]
        more = f" ({', '.join(others)} there)" if others else ""
        yield from labelled("", f"{one.accepted:,} by {one.name}{more}")
    if recent.recipients and not recent.left_out:
        yield from labelled("", f"To leave them out: --skip-recent {recent.duration}")
    if recent.not_looked_at:
        text = (
            f"Not looked at: {counted(len(recent.not_looked_at), 'older campaign')}: {', '.join(recent.not_looked_at)}"
        )
        yield from labelled("" if recent.recipients or recent.looked_at else "recently", text)


def _skipped(skipped: Skipped) -> str:
    parts = [
        (skipped.invalid, "invalid"),
        (skipped.duplicates, "duplicate" if skipped.duplicates == 1 else "duplicates"),
        (skipped.suppressed, "on the suppression list"),
        (skipped.not_guests, "not on the guest list"),
        (skipped.recent, "sent to recently"),
    ]
    return ", ".join(f"{number:,} {why}" for number, why in parts if number)


def _forecast_lines(forecast: Forecast, plan: Plan, timezone: str | None, now: datetime) -> Iterator[str]:
    yield from labelled("sends", _flow(forecast, several=len(plan.forecasts) > 1))
    if (forecast.begins - now).total_seconds() > _PRECISE_S:
        yield from labelled("  begins", time_left_text(forecast.begins, now, timezone))
    if forecast.ends is None:
        if plan.deadline is not None:
            yield from labelled("  leaves", f"{forecast.left:,} without a message at the deadline")
        else:
            yield from labelled("  finishes", "not within ten years")
        return
    days = f", on {len(forecast.stretches):,} days" if len(forecast.stretches) > 1 else ""
    yield from labelled("  finishes", f"{time_left_text(forecast.ends, now, timezone)}{days}")


def _flow(forecast: Forecast, *, several: bool) -> str:
    supply, ceiling = forecast.supply, forecast.ceiling
    if ceiling is not None and ceiling <= supply.rate:
        return f"{rate_text(ceiling)}, the configured rate; the quota allows {rate_text(supply.rate)}"
    burst = f"{int(supply.burst):,} at once, then " if supply.burst >= 1 else ""
    slowed = f", never above {rate_text(ceiling)}" if ceiling is not None else ""
    return f"{burst}{'if the refill is ' if several else ''}{rate_text(supply.rate)}{slowed}"


def quota_line(quota: TenantQuota) -> str:
    """Describe one quota in a line."""
    if not quota.is_known:
        return "not known yet"
    if quota.blind:
        return f"answers carry no headers; {rate_text(quota.fallback_rate)} until they do"
    parts = []
    for bucket, name in ((quota.bucket, ""), (quota.policy, "policy: ")):
        if bucket is None:
            continue
        flow = "refill not learned yet"
        if bucket.is_learned:
            flow = f"{rate_text(max(0.0, bucket.available_rate))} of {rate_text(bucket.refill_rate)} free"
        parts.append(f"{name}{bucket.level:,.0f} of {bucket.limit:,} left, {bucket.reserve:,} kept for logins, {flow}")
    if quota.blocked_for_s > 0:
        parts.append(f"blocked for {duration_text(quota.blocked_for_s)}")
    return "; ".join(parts)
