"""A campaign as plain lines of text, for a terminal or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.campaigns.model import Status
from gatepost_core.states import State
from gatepost_operations.cli.campaign.lines import labelled
from gatepost_operations.cli.campaign.summary import cost_text, took_text
from gatepost_operations.formatting import counted, day_text, in_zone, limit_text, rate_text, share_text, time_left_text
from gatepost_operations.planning.watch import Activity, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gatepost.campaigns.report import RecipientReport
    from gatepost_core.campaigns.model import Campaign

_WIDTH: Final = 12
_MOST_BATCHES: Final = 8


def _line(label: str, text: str) -> str:
    return f"{label:<{_WIDTH}}{text}"


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
    if took := took_text(campaign):
        yield _line("took", took)
    if pace := _pace(campaign, max_rate):
        yield _line("rate", pace)
    yield _line("recipients", f"{campaign.total:,}")
    for state in State:
        if number := campaign.counts[state]:
            share = f"  {share_text(number, campaign.total)}" if campaign.adds_up else ""
            yield f"  {state.value:<{_WIDTH}}{number:>10,}{share}"
    if cost := cost_text(campaign):
        yield from labelled("cost", cost)
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
            return f"{campaign.status}, rests until {time_left_text(campaign.rests_until, now, timezone)}"
        case Activity.ENDED if campaign.ended_at is not None:
            return f"{campaign.status} {day_text(campaign.ended_at, now, timezone)}"
        case Activity.BLOCKED:
            return f"{campaign.status}, blocked"
        case Activity.SENDING if snapshot.finish_at is not None:
            finish = time_left_text(snapshot.finish_at, now, timezone)
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
