"""A campaign that is read in a thread: its view never waits, and says how old it is."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import CampaignNotFound, Unavailable
from gatepost_core.campaigns.model import Campaign, Status
from gatepost_operations.planning.campaign_events import EventKind
from gatepost_operations.planning.observer import Observer
from support.campaign_views import NOW, campaign_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_operations.planning.observer import CampaignView


class Frozen:
    """Campaigns in a Redis that can stop answering, and a clock that the test moves."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.answers = threading.Event()
        self.answers.set()
        self.failure: Exception | None = None
        self.reads = 0
        self.elapsed = 0.0

    def status(self, campaign_id: str) -> Campaign:
        assert campaign_id == self.campaign.campaign_id
        self.reads += 1
        assert self.answers.wait(120)
        if self.failure is not None:
            raise self.failure
        return self.campaign

    def observer(self) -> Observer:
        return Observer(
            self,  # type: ignore[arg-type] # what the class needs of the campaigns
            self.campaign,
            clock=lambda: NOW + timedelta(seconds=self.elapsed),
            monotonic=lambda: self.elapsed,
            read_every_s=0.01,
        )

    def pass_time(self, observer: Observer, seconds: int) -> CampaignView:
        """Let time pass while the operator looks every second."""
        for _ in range(seconds):
            self.elapsed += 1.0
            observer.view()
        return observer.view()


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def silent(frozen: Frozen) -> None:
    """Stop the answers, and wait until a read waits for one."""
    frozen.answers.clear()
    reads = frozen.reads
    until(lambda: frozen.reads > reads)


def test_a_silent_redis_is_told_within_three_seconds() -> None:
    """The view does not wait for the answer, and counts the seconds since the last one."""
    frozen = Frozen(campaign_with(queued=5))
    with frozen.observer() as observer:
        silent(frozen)
        before, lost, later = (frozen.pass_time(observer, seconds) for seconds in (2, 1, 9))
        frozen.answers.set()
        until(lambda: not observer.view().is_lost)
        back = observer.view()

    assert (before.is_lost, lost.lost_for_s, later.lost_for_s) == (False, 3.0, 12.0)
    assert [event.kind for event in back.events] == [EventKind.CONNECTION_LOST, EventKind.CONNECTION_BACK]
    assert [event.at for event in back.events] == [NOW, NOW + timedelta(seconds=12)]


def test_nothing_counts_as_stalled_because_redis_was_silent() -> None:
    """What happened meanwhile was not seen, so the quiet time begins with the answer."""
    frozen = Frozen(campaign_with(queued=5))
    with frozen.observer() as observer:
        silent(frozen)
        frozen.pass_time(observer, 40)
        frozen.answers.set()
        until(lambda: not observer.view().is_lost)
        back = observer.view()

    assert (back.snapshot.idle_s, back.snapshot.is_stalled) == (0.0, False)


def test_a_refused_connection_is_told_with_its_cause() -> None:
    """The sentence names the cause, and goes when Redis answers."""
    frozen = Frozen(campaign_with(queued=5))
    with frozen.observer() as observer:
        frozen.failure = Unavailable("Redis did not answer (ConnectionError).")
        until(lambda: observer.view().failure != "")
        lost = frozen.pass_time(observer, 3)
        frozen.failure = None
        until(lambda: not observer.view().is_lost)
        back = observer.view()

    assert (lost.lost_for_s, lost.failure) == (3.0, "Redis did not answer (ConnectionError).")
    assert back.failure == ""


def test_a_watcher_that_was_stopped_itself_reports_no_loss() -> None:
    """After Ctrl-Z, or the sleep of a laptop, Redis gets the time to answer."""
    frozen = Frozen(campaign_with(queued=5))
    with frozen.observer() as observer:
        silent(frozen)
        frozen.elapsed += 600
        woken = observer.view()
        after = frozen.pass_time(observer, 3)
        frozen.answers.set()

    assert (woken.is_lost, after.is_lost) == (False, True)


def test_an_error_of_the_reading_thread_reaches_the_operator() -> None:
    """A campaign that another operator deletes ends the watching."""
    frozen = Frozen(campaign_with(queued=5))
    with frozen.observer() as observer:
        frozen.failure = CampaignNotFound()
        with pytest.raises(CampaignNotFound):
            until(lambda: observer.view() is None)


def test_the_last_view_is_not_lost() -> None:
    """Nothing is read after the end."""
    frozen = Frozen(campaign_with(queued=5))
    with frozen.observer() as observer:
        frozen.campaign = campaign_with(Status.FINISHED, accepted=5)
        until(lambda: observer.view().is_last)

    assert not frozen.pass_time(observer, 5).is_lost
