"""The effect of a command on a campaign, in one line: `spring: rate 20/s → 30/s`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_core.campaigns.model import Status
from gatepost_core.states import State
from gatepost_operations.formatting import counted, limit_text, time_left_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatepost_core.campaigns.model import Campaign, Options


def status_change(before: Campaign, after: Campaign) -> str:
    """Return how a campaign's status changed, and what that means for its recipients."""
    if after.status is before.status:
        return f"{after.reference} is {after.status} already"
    return f"{after.reference}: {before.status} → {after.status}{_meaning(before, after)}"


def _meaning(before: Campaign, after: Campaign) -> str:
    match after.status:
        case Status.RUNNING:
            # Workers may have sent to some already.
            return f", {counted(before.open, 'recipient')} to send to"
        case Status.PAUSED:
            verb = "waits" if after.open == 1 else "wait"
            return f", {counted(after.open, 'recipient')} {verb}"
        case Status.CANCELLING:
            return f"; {counted(after.open, 'call')} under way will be finished first"
        case Status.CANCELLED:
            cancelled = after.counts[State.CANCELLED] - before.counts[State.CANCELLED]
            return f", {counted(cancelled, 'recipient')} cancelled, {after.counts[State.ACCEPTED]:,} accepted before"
        case _:
            return ""


def option_changes(before: Campaign, after: Campaign, now: datetime) -> str:
    """Return which of the options that can be changed differ, with their old and new values."""
    old, new = (dict(_values(one.options, now)) for one in (before, after))
    changed = ", ".join(f"{name} {old[name]} → {new[name]}" for name in new if new[name] != old[name])
    return f"{after.reference}: {changed}" if changed else f"{after.reference}: nothing changed"


def _values(options: Options, now: datetime) -> Iterator[tuple[str, str]]:
    yield "rate", "none" if options.rate is None else limit_text(options.rate)
    timezone = options.hours.timezone if options.hours else None
    deadline = options.deadline
    yield "deadline", "none" if deadline is None else time_left_text(deadline, now, timezone)


def count_changes(before: Campaign, after: Campaign) -> str:
    """Return which counts differ after a recount."""
    pairs = [("recipients", before.total, after.total)]
    pairs += [(state.value, before.counts[state], after.counts[state]) for state in State]
    changed = ", ".join(f"{name} {old:,} → {new:,}" for name, old, new in pairs if old != new)
    return f"{after.reference}: {changed or 'every count was right'}"
