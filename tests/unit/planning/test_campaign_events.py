"""The events of a watched campaign: each is true, has its time, and is told once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.model import Options, Pause, PauseReason, Status
from gatepost_operations.planning.campaign_events import EventKind, EventLog
from gatepost_operations.planning.watch import snapshot_of
from support.campaign_views import NOW, campaign_with

if TYPE_CHECKING:
    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.planning.watch import CampaignSnapshot

BY_HAND = Pause(PauseReason.BY_OPERATOR)
BY_ITSELF = Pause(PauseReason.ERROR_SHARE)
BY_RECOVER = Pause(PauseReason.BACKUP_RESTORED)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def at(second: float, campaign: Campaign, idle_s: float = 0.0) -> CampaignSnapshot:
    return snapshot_of(campaign, NOW + seconds(second), idle_s)


def kinds(log: EventLog) -> list[EventKind]:
    return [event.kind for event in log.events]


def running(accepted: int, **given: Any) -> Campaign:
    return campaign_with(queued=100 - accepted, accepted=accepted, started_at=NOW - seconds(60), **given)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (running(1), campaign_with(Status.PAUSED, queued=9, pause=BY_HAND), EventKind.PAUSED_BY_HAND),
        (running(1), campaign_with(Status.PAUSED, queued=9, pause=BY_ITSELF), EventKind.PAUSED_ITSELF),
        (running(1), campaign_with(Status.PAUSED, unknown=9, pause=BY_RECOVER), EventKind.PAUSED_BY_RECOVER),
        (campaign_with(Status.PAUSED, queued=9, pause=BY_HAND), campaign_with(queued=9), EventKind.RESUMED),
        (running(1), campaign_with(Status.CANCELLING, in_flight=1), EventKind.CANCELLING),
        (running(1), campaign_with(Status.FINISHED, accepted=1, ended_at=NOW + seconds(2)), EventKind.ENDED),
        (campaign_with(Status.DRAFT, queued=9), campaign_with(queued=9, started_at=NOW), EventKind.STARTED),
    ],
)
def test_a_change_of_status_is_an_event(before: Campaign, after: Campaign, kind: EventKind) -> None:
    """It is told once, however often the campaign is read."""
    log = EventLog()
    log.look(at(0, before))
    known = len(log.events)
    log.look(at(3, after))
    log.look(at(4, after))

    assert [event.kind for event in log.events if event.kind is kind] == [kind]
    assert len(log.events) == known + 1


def test_a_stored_time_wins_over_the_time_of_the_look() -> None:
    """An end that was seen a minute later happened when its record says."""
    log = EventLog()
    log.look(at(0, running(1)))
    log.look(
        at(60, campaign_with(Status.FINISHED, accepted=1, started_at=NOW - seconds(60), ended_at=NOW + seconds(5)))
    )

    assert log.events[-1].at == NOW + seconds(5)


def test_a_status_has_no_stored_time_if_something_else_changed_too() -> None:
    """One field stores both, so the event has the time of the look."""
    log = EventLog()
    log.look(at(0, running(1)))
    changed = campaign_with(Status.PAUSED, queued=9, pause=BY_HAND, options=Options(tenant="default", rate=2.0))
    log.look(at(60, changed))
    found = {event.kind: event.at for event in log.events}

    assert found[EventKind.PAUSED_BY_HAND] == found[EventKind.RATE_CHANGED] == NOW + seconds(60)


def test_the_first_look_tells_only_stored_events() -> None:
    """A pause that began before has no known time."""
    log = EventLog()
    log.look(at(0, campaign_with(Status.PAUSED, queued=9, pause=BY_HAND, started_at=NOW - seconds(9))))

    assert kinds(log) == [EventKind.STARTED]


def test_a_stall_and_its_end_are_events() -> None:
    """Calls that begin are no progress; a recipient that ends is."""
    log = EventLog()
    log.look(at(0, running(5)))
    log.look(at(6, running(5), idle_s=6))
    log.look(at(7, running(5), idle_s=7))
    log.look(at(8, running(5)))
    log.look(at(9, running(6)))
    log.look(at(10, running(7)))

    assert kinds(log) == [EventKind.STARTED, EventKind.STALLED, EventKind.MOVING_AGAIN]
    assert log.events[-1].at == NOW + seconds(9)


def test_a_slow_campaign_does_not_stall_between_two_recipients() -> None:
    """At one recipient in ten seconds, eight quiet seconds are as expected."""
    log = EventLog()
    log.look(at(0, running(5, rate=0.1)))
    log.look(at(8, running(5, rate=0.1), idle_s=8))

    assert kinds(log) == [EventKind.STARTED]


def test_a_rest_is_an_event_with_its_end() -> None:
    """Short rests are the usual pace, and are not told."""
    log = EventLog()
    log.look(at(0, running(5, rests_until=NOW + seconds(3))))
    log.look(at(4, running(6)))
    log.look(at(5, running(6, rests_until=NOW + seconds(600))))
    log.look(at(6, running(6, rests_until=NOW + seconds(600))))

    assert kinds(log) == [EventKind.STARTED, EventKind.RESTS]
    assert log.events[-1].until == NOW + seconds(600)


def test_a_blocked_quota_is_one_event_with_its_newest_end() -> None:
    """Readings of the same block differ by fractions of a second; a longer block replaces its end."""
    log = EventLog()
    log.look(at(0, running(5)), NOW + seconds(1))
    for second, until in ((1, 30), (2, 30.4), (3, 60)):
        log.look(at(second, running(5)), NOW + seconds(until))
    log.look(at(61, running(5)))
    log.look(at(62, running(6)))

    assert kinds(log) == [EventKind.STARTED, EventKind.QUOTA_BLOCKED, EventKind.MOVING_AGAIN]
    assert log.events[1].until == NOW + seconds(60)


def test_a_worker_is_gone_after_three_missing_answers() -> None:
    """Fewer may be a busy worker; one that comes back joins."""
    log = EventLog()
    looks = ((0, "ab"), (2, "a"), (3, "a"), (6, "ab"), (7, "a"), (9, "a"), (10, "a"), (13, "a"), (16, "ac"))
    for second, names in looks:
        log.look_at_workers(NOW + seconds(second), set(names))

    assert kinds(log) == [EventKind.WORKERS_GONE, EventKind.WORKERS_JOINED]
    assert [event.at for event in log.events] == [NOW + seconds(10), NOW + seconds(16)]
    assert log.workers == 2


def test_a_reconnected_watcher_calls_no_worker_gone_at_once() -> None:
    """Workers connect again after an outage, each in its own time; a worker that stays away is gone."""
    log = EventLog()
    log.look_at_workers(NOW, {"a", "b"})
    log.lose(NOW + seconds(1))
    log.look_at_workers(NOW + seconds(2), set())
    log.recover(NOW + seconds(10))
    for second in range(11, 38, 3):
        log.look_at_workers(NOW + seconds(second), {"a"})
    known = kinds(log)
    log.look_at_workers(NOW + seconds(41), {"a"})

    assert known == [EventKind.CONNECTION_LOST, EventKind.CONNECTION_BACK]
    assert kinds(log)[2:] == [EventKind.WORKERS_GONE]
    assert log.events[1].number == 9


def test_events_are_in_the_order_of_their_times() -> None:
    """A pause that is read after an outage happened before its end."""
    log = EventLog()
    log.look(at(0, running(1)))
    log.lose(NOW + seconds(1))
    log.recover(NOW + seconds(30))
    log.look(at(30, campaign_with(Status.PAUSED, queued=9, pause=BY_ITSELF, updated_at=NOW + seconds(20))))

    assert kinds(log)[1:] == [EventKind.CONNECTION_LOST, EventKind.PAUSED_ITSELF, EventKind.CONNECTION_BACK]
