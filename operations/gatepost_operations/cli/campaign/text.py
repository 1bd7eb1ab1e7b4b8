"""A check, a plan and a campaign as plain lines of text, for a terminal or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.campaigns.model import Status
from gatepost_core.kinds import CHANNELS
from gatepost_core.reasons import Retry
from gatepost_core.states import FAILED_STATES, State
from gatepost_operations.cli.formatting import counted, duration_text, in_zone, limit_text, rate_text
from gatepost_operations.planning.watch import Activity, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from gatepost.campaigns.report import RecipientReport
    from gatepost_core.campaigns.hours import SendingHours
    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.files.check import CheckReport
    from gatepost_operations.planning.plan import Forecast, Plan, Skipped
    from gatepost_operations.planning.tenant_quota import TenantQuota

_WIDTH: Final = 12
_DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MOST_COUNTRIES: Final = 8
_MOST_DOMAINS: Final = 5
_MOST_BATCHES: Final = 8
_PRECISE_S: Final = 1.0


def _line(label: str, text: str) -> str:
    return f"{label:<{_WIDTH}}{text}"


def check_lines(report: CheckReport, name: str) -> Iterator[str]:
    """Describe a file. Names domains and countries, never people."""
    delimiter = f", {_DELIMITERS.get(report.delimiter or '', repr(report.delimiter))}" if report.delimiter else ""
    kind = "CSV" if report.delimiter else "JSON Lines"
    yield _line("file", f"{name} ({kind}{delimiter}, {report.encoding})")
    yield _line(
        "rows",
        f"{report.rows:,}: {report.valid:,} valid, {report.invalid:,} invalid, {counted(report.duplicates, 'duplicate')}",
    )
    yield _line("recipients", f"{report.recipients:,}{_kinds(report)}")
    if report.domains:
        shown = dict(list(report.domains.items())[:_MOST_DOMAINS])
        others = sum(report.domains.values()) + report.other_domains - sum(shown.values())
        yield _line("domains", _most(shown, _MOST_DOMAINS) + (f", {others:,} in others" if others else ""))
    if report.cannot_receive_sms:
        yield _line("no SMS", f"{counted(report.cannot_receive_sms, 'number')} cannot receive SMS")
    if report.valid_by_length:
        yield _line("no plan", f"{counted(report.valid_by_length, 'number')} would pass with --numbers length")
    if report.full_width:
        yield _line("full width", f"{counted(report.full_width, 'address', 'addresses')} read with usual characters")
    if report.ignored_columns:
        yield _line("ignored", f"columns {', '.join(report.ignored_columns)}")


def error_lines(report: CheckReport) -> Iterator[str]:
    """Give the first invalid rows, and the number of each kind."""
    for error in report.first_errors:
        yield f"  {error}"
    if report.invalid > len(report.first_errors):
        yield f"  … and {counted(report.invalid - len(report.first_errors), 'more row')}:"
        for problem in report.problems:
            yield f"  {problem.rows:>9,}  {problem.field}: {problem.problem}"


def _kinds(report: CheckReport) -> str:
    if not report.valid:
        return ""
    parts = [
        counted(number, f"{channel.label} row") for channel in CHANNELS if (number := report.kinds.get(channel, 0))
    ]
    countries = f" ({_most(report.regions, _MOST_COUNTRIES)})" if report.regions else ""
    return f", from {' and '.join(parts)}{countries}"


def _most(counts: Mapping[str, int], most: int) -> str:
    shown = [f"{name} {number:,}" for name, number in list(counts.items())[:most]]
    return ", ".join(shown) + (" …" if len(counts) > most else "")


def plan_lines(plan: Plan, hours: SendingHours | None, now: datetime) -> Iterator[str]:
    """Describe a plan."""
    timezone = hours.timezone if hours else None
    if plan.skipped.total:
        yield _line("skipped", _skipped(plan.skipped))
    if plan.quota is not None:
        yield _line("quota", quota_line(plan.quota))
    if hours:
        yield _line("hours", str(hours))
    for forecast in plan.forecasts:
        yield from _forecast_lines(forecast, plan, timezone, now)
    if plan.deadline is not None:
        yield _line("deadline", in_zone(plan.deadline, timezone))
    for number, sentence in enumerate(plan.unknowns):
        yield _line("" if number else "not known", sentence)


def _skipped(skipped: Skipped) -> str:
    parts = [
        (skipped.invalid, "invalid"),
        (skipped.duplicates, "duplicate" if skipped.duplicates == 1 else "duplicates"),
        (skipped.suppressed, "on the suppression list"),
        (skipped.not_guests, "not on the guest list"),
    ]
    return ", ".join(f"{number:,} {why}" for number, why in parts if number)


def _forecast_lines(forecast: Forecast, plan: Plan, timezone: str | None, now: datetime) -> Iterator[str]:
    yield _line("sends", _flow(forecast, several=len(plan.forecasts) > 1))
    if (forecast.begins - now).total_seconds() > _PRECISE_S:
        yield _line("  begins", in_zone(forecast.begins, timezone))
    if forecast.ends is None:
        if plan.deadline is not None:
            yield _line("  leaves", f"{forecast.left:,} without a message at the deadline")
        else:
            yield _line("  finishes", "not within ten years")
        return
    took = duration_text(max(1.0, (forecast.ends - now).total_seconds()))
    days = f", on {len(forecast.stretches):,} days" if len(forecast.stretches) > 1 else ""
    yield _line("  finishes", f"{in_zone(forecast.ends, timezone)}, {took} from now{days}")


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
        flow = "refill not learnt yet"
        if bucket.is_learnt:
            flow = f"{rate_text(max(0.0, bucket.available_rate))} of {rate_text(bucket.refill_rate)} free"
        parts.append(f"{name}{bucket.level:,.0f} of {bucket.limit:,} left, {bucket.reserve:,} kept for logins, {flow}")
    if quota.blocked_for_s > 0:
        parts.append(f"blocked for {duration_text(quota.blocked_for_s)}")
    return "; ".join(parts)


def campaign_lines(campaign: Campaign, now: datetime, max_rate: float | None = None) -> Iterator[str]:
    """Describe a campaign's status, counts and reasons.

    Args:
        campaign: the campaign.
        now: the moment.
        max_rate: the tenant's limit of calls per second, if set.
    """
    timezone = campaign.options.hours.timezone if campaign.options.hours else None
    yield _line("campaign", f"{campaign.name}  {campaign.campaign_id}")
    yield _line("status", _status(campaign, now, timezone))
    if pace := _pace(campaign, max_rate):
        yield _line("rate", pace)
    yield _line("recipients", f"{campaign.total:,}")
    for state in State:
        if number := campaign.counts[state]:
            share = f"  {_share(number, campaign.total)}" if campaign.adds_up else ""
            yield f"  {state.value:<{_WIDTH}}{number:>10,}{share}"
    yield from sum_lines(campaign)
    yield from reason_lines(campaign)


def _pace(campaign: Campaign, max_rate: float | None) -> str:
    """Return the present rate, the ceiling that applies, and whose it is."""
    runs = campaign.status is Status.RUNNING
    now = f"{rate_text(campaign.rate)} now, " if runs else ""
    own = campaign.options.rate
    ceilings = [(own, "set for this campaign"), (max_rate, "set for the tenant (AUTH0_MAX_RATE)")]
    given = sorted((rate, whose) for rate, whose in ceilings if rate is not None)
    if not given:
        return f"{now}at most what the quota allows" if runs else ""
    (lowest, whose), *others = given
    rest = "".join(f"; {limit_text(rate)} {other}" for rate, other in others)
    return f"{now}at most {limit_text(lowest)}, {whose}{rest}"


def _status(campaign: Campaign, now: datetime, timezone: str | None) -> str:
    snapshot = snapshot_of(campaign, now)
    match snapshot.activity:
        case Activity.RESTING if campaign.rests_until is not None:
            return f"{campaign.status}, rests until {in_zone(campaign.rests_until, timezone)}"
        case Activity.ENDED if campaign.ended_at is not None:
            return f"{campaign.status} at {in_zone(campaign.ended_at, timezone)}"
        case Activity.BLOCKED:
            return f"{campaign.status}, blocked"
        case Activity.SENDING if snapshot.finish_at is not None:
            finish = in_zone(snapshot.finish_at, timezone)
            return f"{campaign.status}, finishes about {finish}"
        case _:
            return campaign.status.value


def reason_lines(campaign: Campaign) -> Iterator[str]:
    """Give every reason with its count and advice."""
    if campaign.pause is not None:
        yield f"paused: {campaign.pause.advice}"
        yield f"  resume:  gatepost campaign resume {campaign.reference}"
    yield from block_lines(campaign)
    for (state, reason), number in sorted(campaign.reasons.items(), key=lambda item: -item[1]):
        yield f"{number:,} {state} ({reason}): {reason.advice}"


def sum_lines(campaign: Campaign) -> Iterator[str]:
    """Report counts that do not add up."""
    if not campaign.adds_up:
        yield f"the counts do not add up; run `gatepost campaign recount {campaign.reference}`"


def block_lines(campaign: Campaign) -> Iterator[str]:
    """Give the reasons that block workers, and advice."""
    for block in campaign.blocks:
        where = f" {_batches(block.batches)}:" if block.batches else ""
        yield f"blocked:{where} {block.sentence(campaign.accept_command)}"


def _batches(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:_MOST_BATCHES])
    more = " …" if len(numbers) > _MOST_BATCHES else ""
    return f"{'batch' if len(numbers) == 1 else 'batches'} {shown}{more}"


def what_next(campaign: Campaign) -> Iterator[str]:
    """Give the commands that follow a campaign's end."""
    name = campaign.reference
    failed = sum(campaign.counts[state] for state in FAILED_STATES)
    hopeful = sum(
        number
        for (state, reason), number in campaign.reasons.items()
        if state in FAILED_STATES and reason.retry is not Retry.CANNOT_SUCCEED
    )
    unknown = campaign.counts[State.UNKNOWN]
    if campaign.status not in {Status.FINISHED, Status.CANCELLED} or not (failed or unknown):
        return
    states = " ".join(f"--state {one}" for one, number in (("failed", failed), ("unknown", unknown)) if number)
    yield f"who, and why:     gatepost campaign export {name} {states} --output failed.ndjson"
    if hopeful:
        yield f"retry {hopeful:,} of them: gatepost campaign retry {name} --dry-run"
    if unknown:
        yield f"send again to the unknown (voids a code that did arrive): gatepost campaign retry {name} --state unknown"


def recipient_line(report: RecipientReport) -> str:
    """Describe one recipient's outcome, without the address."""
    parts = [report.state.value, *([report.reason.value] if report.reason else [])]
    if report.attempts:
        parts.append(counted(report.attempts, "attempt"))
    if report.http_status:
        parts.append(f"status {report.http_status}")
    if report.at:
        parts.append(in_zone(report.at))
    return ", ".join(parts)


def _share(number: int, total: int) -> str:
    return f"{number / total:.1%}" if total else ""
