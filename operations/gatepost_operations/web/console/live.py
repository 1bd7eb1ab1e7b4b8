"""Watches campaigns in a thread, so that pages can show them while Redis does not answer, and browsers cost no reads."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from gatepost_core.errors import CampaignNotFound, Unavailable, Unusable
from gatepost_operations.planning.campaign_events import EventLog
from gatepost_operations.planning.observer import LOST_AFTER_S, CampaignView
from gatepost_operations.planning.watch import Activity, CampaignSnapshot, Movement, finish_at
from gatepost_operations.web.console.history import History, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.planning.tenant_quota import TenantQuota
    from gatepost_operations.web.console.campaign_reader import CampaignReader

_READ_EVERY_S: Final = 1.0
_ASK_WORKERS_EVERY_S: Final = 4.0
# A campaign that no page shows is forgotten after this time, unless it is active.
_KEPT_S: Final = 600.0
_MOST_KEPT: Final = 500
_MOVING: Final = {Activity.SENDING, Activity.WAITING, Activity.RESTING, Activity.BLOCKED, Activity.CANCELLING}


@dataclass(frozen=True, slots=True)
class LiveView:
    """A campaign now, and its history since the console began to watch it."""

    view: CampaignView
    samples: tuple[Sample, ...]


@dataclass(slots=True)
class _Watched:
    snapshot: CampaignSnapshot
    movement: Movement
    shown_at: float
    log: EventLog = field(default_factory=EventLog)
    history: History = field(default_factory=History)
    quota: TenantQuota | None = None
    quota_until: datetime | None = None
    is_gone: bool = False


class LiveCampaigns:
    """Reads the active campaigns, and those that pages show, once a second. Thread-safe.

    The threads may wait for Redis when it is stopped. They are daemons, so they do not delay the end of the process.

    Args:
        reader: reads campaigns.
        quota: returns the learned quota of a tenant; None while unknown.
        workers: returns the names of the workers that take campaigns; None if the broker does not answer.
        clock: returns the current time.
        monotonic: returns the seconds of a monotonic clock.
    """

    def __init__(
        self,
        reader: CampaignReader,
        *,
        quota: Callable[[str | None], TenantQuota | None],
        workers: Callable[[], Collection[str] | None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._read_quota, self._ask_workers = quota, workers
        self._clock, self._monotonic = clock, monotonic
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watched: dict[str, _Watched] = {}
        self._answered_at = monotonic()
        self._asked_at: float | None = None
        self._failure: Unavailable | None = None
        self._workers: Collection[str] | None = None

    def start(self) -> None:
        """Start the threads."""
        for work, every_s in ((self.read, _READ_EVERY_S), (self.count_workers, _ASK_WORKERS_EVERY_S)):
            arguments = (work, every_s)
            threading.Thread(target=self._repeat, args=arguments, name=f"console {work.__name__}", daemon=True).start()

    def stop(self) -> None:
        """End the threads, and within a second the streams of live pages."""
        self._closed.set()

    @property
    def is_closed(self) -> bool:
        """Whether the console stops."""
        return self._closed.is_set()

    @property
    def waits_for_redis(self) -> bool:
        """Whether Redis has not answered a question for seconds. A busy machine that asks late does not count."""
        asked_at = self._asked_at
        return asked_at is not None and self._monotonic() - asked_at >= LOST_AFTER_S

    @property
    def failure(self) -> Unavailable:
        """A new error with the last failure of Redis."""
        kind = Unusable if isinstance(self._failure, Unusable) else Unavailable
        return kind(*(self._failure.args if self._failure is not None else ()))

    @property
    def lost_for_s(self) -> float:
        """Seconds since the last answer of Redis, if it does not answer; otherwise 0."""
        return self._monotonic() - self._answered_at if self.waits_for_redis else 0.0

    def view(self, campaign_id: str) -> LiveView:
        """Return a campaign, as it was read last. It is read now if it was not watched yet.

        Raises:
            CampaignNotFound: there is none, or it was deleted.
            Unavailable: it was not watched yet, and Redis does not answer.
        """
        with self._lock:
            known = self._watched.get(campaign_id)
        if known is None:
            self._take({campaign_id: self._reader.status(campaign_id)})
        with self._lock:
            watched = self._watched[campaign_id]
            if watched.is_gone:
                raise CampaignNotFound
            watched.shown_at = self._monotonic()
            return self._view_of(watched)

    def refresh(self, campaign_id: str) -> None:
        """Read a campaign now, because a request has just changed it. Errors are those of `view`."""
        self._take({campaign_id: self._reader.status(campaign_id)})

    def read(self) -> None:
        """Read the active campaigns, and those that pages show. A failure of Redis is noted."""
        # The first question without an answer.
        self._asked_at = self._monotonic() if self._asked_at is None else self._asked_at
        try:
            ids = {*self._reader.active_ids(), *self._shown()}
            found = self._reader.live(sorted(ids)) if ids else {}
            quotas = {tenant: self._read_quota(tenant) for tenant in {one.options.tenant for one in found.values()}}
        except Unavailable as failure:
            with self._lock:
                self._failure = failure
                self._note_loss()
            return
        with self._lock:
            self._answered_at, self._asked_at, self._failure = self._monotonic(), None, None
            for campaign_id in ids - found.keys():
                if campaign_id in self._watched:
                    self._watched[campaign_id].is_gone = True
        self._take(found, quotas)
        self._forget()

    def count_workers(self) -> None:
        """Ask the workers, if a campaign runs that a page shows."""
        with self._lock:
            waits = any(one.snapshot.activity in _MOVING for one in self._watched.values())
        names = self._ask_workers() if waits else None
        if names is None:
            return
        with self._lock:
            for one in self._watched.values():
                if one.snapshot.activity in _MOVING:
                    one.log.look_at_workers(self._clock(), names)

    def _repeat(self, work: Callable[[], None], every_s: float) -> None:
        while not self._closed.wait(every_s):
            work()

    def _shown(self) -> list[str]:
        with self._lock:
            return list(self._watched)

    def _take(self, campaigns: dict[str, Campaign], quotas: dict[str | None, TenantQuota | None] | None = None) -> None:
        now, tick = self._clock(), self._monotonic()
        with self._lock:
            for campaign_id, campaign in campaigns.items():
                self._take_one(campaign_id, campaign, now, tick)
                watched = self._watched[campaign_id]
                if quotas is not None:
                    watched.quota = quotas.get(campaign.options.tenant) or watched.quota
                    self._sample(watched, now)

    def _take_one(self, campaign_id: str, campaign: Campaign, now: datetime, tick: float) -> None:
        known = self._watched.get(campaign_id)
        movement = known.movement if known else Movement(tick, _READ_EVERY_S)
        snapshot = movement.look(campaign, now, tick)
        watched = known or _Watched(snapshot, movement, tick)
        watched.snapshot, watched.is_gone = snapshot, False
        self._watched[campaign_id] = watched
        quota = watched.quota
        blocked = quota is not None and quota.blocked_for_s >= 1
        watched.quota_until = now + timedelta(seconds=quota.blocked_for_s) if quota and blocked else None
        watched.log.recover(now)
        watched.log.look(snapshot, watched.quota_until)

    def _sample(self, watched: _Watched, now: datetime) -> None:
        if watched.snapshot.activity not in _MOVING:
            return
        quota, campaign = watched.quota, watched.snapshot.campaign
        finish = None if watched.snapshot.is_stalled else finish_at(campaign, now, quota)
        left = quota.left if quota else None
        watched.history.add(Sample(now, campaign.done, watched.snapshot.rate_now, left, finish))

    def _note_loss(self) -> None:
        for one in self._watched.values():
            self._note_loss_of(one)

    def _note_loss_of(self, watched: _Watched) -> None:
        lost_for_s = self.lost_for_s
        if lost_for_s and watched.snapshot.activity in _MOVING:
            now = self._clock()
            watched.log.lose(now - timedelta(seconds=lost_for_s))
            watched.history.add(Sample(now, watched.snapshot.campaign.done, None))

    def _view_of(self, watched: _Watched) -> LiveView:
        # The thread that reads may wait for Redis.
        self._note_loss_of(watched)
        view = CampaignView(
            watched.snapshot,
            self._clock(),
            watched.quota,
            watched.quota_until,
            watched.log.workers,
            watched.log.events,
            0.0 if watched.snapshot.is_last else self.lost_for_s,
            "" if self._failure is None else str(self._failure),
        )
        return LiveView(view, watched.history.samples)

    def _forget(self) -> None:
        with self._lock:
            old = sorted((one.shown_at, campaign_id) for campaign_id, one in self._watched.items())
            surplus = len(old) - _MOST_KEPT
            for number, (shown_at, campaign_id) in enumerate(old):
                idle = self._watched[campaign_id].snapshot.activity not in _MOVING
                if (idle and self._monotonic() - shown_at > _KEPT_S) or number < surplus:
                    del self._watched[campaign_id]
