"""The events of a watched campaign, with their times. Each is stored in its record, or was seen. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gatepost_operations.planning.watch import Activity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.planning.watch import CampaignSnapshot

_KEPT: Final = 100
_SHORTEST_REST: Final = timedelta(seconds=30)
_SHORTEST_BLOCK: Final = timedelta(seconds=3)
_SAME_BLOCK: Final = timedelta(seconds=2)
# A worker that does not answer at once may be busy.
_MISSED_ASKS: Final = 3
# Workers connect again after an outage of Redis, each in its own time.
_WORKERS_RETURN: Final = timedelta(seconds=30)
_STOPPED: Final = {Activity.PAUSED_BY_HAND, Activity.PAUSED_ITSELF, Activity.PAUSED_BY_RECOVER}
_RUNNING: Final = {Activity.SENDING, Activity.RESTING, Activity.WAITING, Activity.BLOCKED}


class EventKind(StrEnum):
    """The kinds of events."""

    STARTED = "started"
    PAUSED_BY_HAND = "paused_by_hand"
    PAUSED_ITSELF = "paused_itself"
    PAUSED_BY_RECOVER = "paused_by_recover"
    RESUMED = "resumed"
    RATE_CHANGED = "rate_changed"
    DEADLINE_CHANGED = "deadline_changed"
    RESTS = "rests"
    QUOTA_BLOCKED = "quota_blocked"
    BLOCKED = "blocked"
    STALLED = "stalled"
    MOVING_AGAIN = "moving_again"
    WORKERS_GONE = "workers_gone"
    WORKERS_JOINED = "workers_joined"
    CONNECTION_LOST = "connection_lost"
    CONNECTION_BACK = "connection_back"
    CANCELLING = "cancelling"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, eq=False)
class CampaignEvent:
    """One event. Two events are equal only if they are the same object.

    Attributes:
        kind: the kind of event.
        at: when it happened, by its record, or when it was seen.
        campaign: the campaign after the event; None for events of workers and of the connection.
        before: the campaign before a change of its options.
        until: the end of a rest or block.
        number: of workers, or of seconds without a connection or progress.
    """

    kind: EventKind
    at: datetime
    campaign: Campaign | None = None
    before: Campaign | None = None
    until: datetime | None = None
    number: int = 0


_BY_ACTIVITY: Final = {
    Activity.PAUSED_BY_HAND: EventKind.PAUSED_BY_HAND,
    Activity.PAUSED_ITSELF: EventKind.PAUSED_ITSELF,
    Activity.PAUSED_BY_RECOVER: EventKind.PAUSED_BY_RECOVER,
    Activity.CANCELLING: EventKind.CANCELLING,
}


class EventLog:
    """Finds events by comparing each look with the one before. Not safe to share between threads without a lock."""

    def __init__(self) -> None:
        self._events: list[CampaignEvent] = []
        self._before: CampaignSnapshot | None = None
        # The number of recipients that had ended when the campaign stopped moving.
        self._halted_at: int | None = None
        self._quota_block: CampaignEvent | None = None
        self._lost_since: datetime | None = None
        self._back_at: datetime | None = None
        self._workers: dict[str, int] | None = None

    @property
    def events(self) -> tuple[CampaignEvent, ...]:
        """The events, the oldest first."""
        return tuple(self._events)

    @property
    def workers(self) -> int | None:
        """The number of workers that take campaigns; None when unknown."""
        return None if self._workers is None else len(self._workers)

    @property
    def misses_workers(self) -> bool:
        """Whether a worker did not answer, and is not counted as gone yet."""
        return any((self._workers or {}).values())

    def look(self, snapshot: CampaignSnapshot, quota_blocked_until: datetime | None = None) -> None:
        """Compare a snapshot with the one before.

        Args:
            snapshot: the newest snapshot.
            quota_blocked_until: the end of the quota's block after a 429; None without one.
        """
        before, self._before = self._before, snapshot
        self._note(self._turns(before, snapshot))
        self._note(self._changes(before, snapshot))
        self._note(self._halts(before, snapshot))
        self._look_at_quota(snapshot, quota_blocked_until)
        done = snapshot.campaign.done
        if snapshot.activity is Activity.SENDING and self._halted_at is not None and done > self._halted_at:
            self._halted_at = None
            self._note([CampaignEvent(EventKind.MOVING_AGAIN, snapshot.at, snapshot.campaign)])
        elif snapshot.activity not in _RUNNING:
            self._halted_at = None

    def look_at_workers(self, at: datetime, names: Collection[str]) -> None:
        """Compare the workers that answered with those that are known.

        Args:
            at: the time of the answers.
            names: the workers' names.
        """
        if self._lost_since is not None:
            return
        if self._workers is None:
            self._workers = dict.fromkeys(names, 0)
            return
        joined = [name for name in names if name not in self._workers]
        missed = {name: 0 if name in names else missed + 1 for name, missed in self._workers.items()}
        may_return = self._back_at is not None and at - self._back_at < _WORKERS_RETURN
        gone = [] if may_return else [name for name, number in missed.items() if number >= _MISSED_ASKS]
        self._workers = {name: number for name, number in missed.items() if name not in gone} | dict.fromkeys(joined, 0)
        for kind, some in ((EventKind.WORKERS_GONE, gone), (EventKind.WORKERS_JOINED, joined)):
            if some:
                self._note([CampaignEvent(kind, at, number=len(some))])

    def lose(self, last_seen: datetime) -> None:
        """Note that Redis does not answer. Further calls change nothing until `recover`."""
        if self._lost_since is None:
            self._lost_since = last_seen
            self._note([CampaignEvent(EventKind.CONNECTION_LOST, last_seen)])

    def recover(self, at: datetime) -> None:
        """Note that Redis answers again, if it did not."""
        if self._lost_since is not None:
            seconds = round((at - self._lost_since).total_seconds())
            self._note([CampaignEvent(EventKind.CONNECTION_BACK, at, number=seconds)])
            self._lost_since, self._back_at = None, at

    def _note(self, found: Collection[CampaignEvent] | Iterator[CampaignEvent]) -> None:
        self._events = sorted([*self._events, *found], key=lambda event: event.at)[-_KEPT:]

    def _turns(self, before: CampaignSnapshot | None, now: CampaignSnapshot) -> Iterator[CampaignEvent]:
        """The changes of status, with the times in the campaign's record."""
        campaign, activity = now.campaign, now.activity
        was = before.activity if before else None
        if campaign.started_at is not None and (before is None or before.campaign.started_at is None):
            yield CampaignEvent(EventKind.STARTED, campaign.started_at, campaign)
        if activity is Activity.ENDED and activity is not was:
            yield CampaignEvent(EventKind.ENDED, campaign.ended_at or now.at, campaign)
        elif before is not None and activity is not was:
            at = _turned_at(before.campaign, now)
            if activity in _RUNNING and was in _STOPPED:
                yield CampaignEvent(EventKind.RESUMED, at, campaign)
            elif activity in _BY_ACTIVITY:
                yield CampaignEvent(_BY_ACTIVITY[activity], at, campaign)

    def _changes(self, before: CampaignSnapshot | None, now: CampaignSnapshot) -> Iterator[CampaignEvent]:
        if before is None:
            return
        old, new = before.campaign, now.campaign
        if old.options.rate != new.options.rate:
            yield CampaignEvent(EventKind.RATE_CHANGED, now.at, new, before=old)
        if old.options.deadline != new.options.deadline:
            yield CampaignEvent(EventKind.DEADLINE_CHANGED, now.at, new, before=old)

    def _halts(self, before: CampaignSnapshot | None, now: CampaignSnapshot) -> Iterator[CampaignEvent]:
        campaign, until = now.campaign, now.campaign.rests_until
        found: CampaignEvent | None = None
        if now.activity is Activity.BLOCKED and (before is None or before.activity is not Activity.BLOCKED):
            found = CampaignEvent(EventKind.BLOCKED, now.at, campaign)
        elif now.is_stalled and not (before and before.is_stalled):
            found = CampaignEvent(EventKind.STALLED, now.at, campaign, number=int(now.idle_s))
        elif (
            now.activity is Activity.RESTING
            and until is not None
            and until - now.at >= _SHORTEST_REST
            and not (before and before.activity is Activity.RESTING and before.campaign.rests_until == until)
        ):
            found = CampaignEvent(EventKind.RESTS, now.at, campaign, until=until)
        if found is not None:
            self._halted_at = campaign.done
            yield found

    def _look_at_quota(self, now: CampaignSnapshot, until: datetime | None) -> None:
        known = self._quota_block
        if until is None or until <= now.at or now.activity not in _RUNNING:
            self._quota_block = None
        elif known is None and until - now.at >= _SHORTEST_BLOCK:
            self._halted_at = now.campaign.done
            self._quota_block = CampaignEvent(EventKind.QUOTA_BLOCKED, now.at, now.campaign, until=until)
            self._note([self._quota_block])
        elif known is not None and known.until is not None and until - known.until > _SAME_BLOCK:
            self._quota_block = replace(known, until=until)
            self._events = [self._quota_block if event is known else event for event in self._events]


def _turned_at(before: Campaign, now: CampaignSnapshot) -> datetime:
    """Return when the status changed. Changes of options and of recipients are stored in the same field."""
    campaign = now.campaign
    only = (before.options, before.batches, before.application) == (
        campaign.options,
        campaign.batches,
        campaign.application,
    )
    return campaign.updated_at if only else now.at
