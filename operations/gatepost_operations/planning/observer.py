"""Watch a campaign from a thread, so that a screen can be drawn while Redis does not answer."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from gatepost_core.campaigns.model import Status
from gatepost_operations.planning.campaign_events import EventLog
from gatepost_operations.planning.watch import snapshot_of, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.errors import Unavailable
    from gatepost_operations.planning.campaign_events import CampaignEvent
    from gatepost_operations.planning.tenant_quota import TenantQuota
    from gatepost_operations.planning.watch import CampaignSnapshot

LOST_AFTER_S: Final = 2.5
"""Without an answer for this time, the connection counts as lost."""
_READ_EVERY_S: Final = 0.5
_ASK_WORKERS_EVERY_S: Final = 3.0
# A reader that looks less often was stopped itself: by Ctrl-Z, or because the machine slept.
_LONGEST_LOOK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class CampaignView:
    """The known facts about a campaign at one time.

    Attributes:
        snapshot: the newest snapshot.
        at: the time of this view.
        quota: the learned quota; None while unknown.
        quota_blocked_until: the end of its block after a 429; None without one.
        workers: the number of workers that take campaigns; None while unknown.
        events: the events, the oldest first.
        lost_for_s: seconds since the last answer of Redis; 0 while it answers.
        failure: the newest error of Redis, as a sentence; empty without one.
    """

    snapshot: CampaignSnapshot
    at: datetime
    quota: TenantQuota | None = None
    quota_blocked_until: datetime | None = None
    workers: int | None = None
    events: tuple[CampaignEvent, ...] = ()
    lost_for_s: float = 0.0
    failure: str = ""

    @property
    def is_lost(self) -> bool:
        """Whether Redis does not answer."""
        return self.lost_for_s > 0

    @property
    def is_last(self) -> bool:
        """Whether the campaign changes only after an operator acts."""
        return self.snapshot.is_last


class _Closed(Exception):
    """The observer was closed."""


class Observer:
    """Reads a campaign, the quota and the workers in threads. Use it as a context manager, and call `view` at least once a second.

    The threads may wait for Redis when it is closed. They are daemons, so they do not delay the end of the process.

    Args:
        campaigns: reads campaigns.
        campaign: the campaign as it was read last.
        quota: returns the learned quota; None while unknown.
        workers: returns the names of the workers that take campaigns; None if the broker does not answer.
        clock: returns the current time.
        monotonic: returns the seconds of a monotonic clock.
        read_every_s: seconds between two reads.
    """

    def __init__(
        self,
        campaigns: Campaigns,
        campaign: Campaign,
        *,
        quota: Callable[[], TenantQuota | None] = lambda: None,
        workers: Callable[[], Collection[str] | None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        read_every_s: float = _READ_EVERY_S,
    ) -> None:
        self._campaigns = campaigns
        self._read_quota, self._ask_workers = quota, workers
        self._clock, self._monotonic = clock, monotonic
        self._read_every_s = read_every_s
        self._log = EventLog()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._quota: TenantQuota | None = None
        self._quota_blocked_until: datetime | None = None
        self._snapshot = snapshot_of(campaign, clock())
        self._log.look(self._snapshot)
        self._answered_at = self._viewed_at = self._awake_since = monotonic()
        self._failure = ""
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        for work in (self._read, self._count_workers):
            threading.Thread(target=self._run, args=(work,), name=f"observer{work.__name__}", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()

    def view(self) -> CampaignView:
        """Return the latest view, without waiting for Redis.

        Raises:
            CampaignNotFound: the campaign was deleted.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            now, tick = self._clock(), self._monotonic()
            if tick - self._viewed_at > _LONGEST_LOOK_S:
                self._awake_since = tick
            self._viewed_at = tick
            silent_s = tick - self._answered_at
            waited_s = tick - max(self._answered_at, self._awake_since)
            lost = waited_s >= LOST_AFTER_S and not self._snapshot.is_last
            if lost:
                self._log.lose(now - timedelta(seconds=silent_s))
            return CampaignView(
                self._snapshot,
                now,
                self._quota,
                self._quota_blocked_until,
                self._log.workers,
                self._log.events,
                silent_s if lost else 0.0,
                self._failure,
            )

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except _Closed:
            return
        except BaseException as error:  # noqa: BLE001 - `view` raises it in the thread that shows it
            with self._lock:
                self._error = error

    def _read(self) -> None:
        looks = watch(
            self._campaigns,
            self._snapshot.campaign.campaign_id,
            every_s=self._read_every_s,
            patience_s=math.inf,
            clock=self._clock,
            monotonic=self._monotonic,
            sleep=self._sleep,
            on_failure=self._fail,
        )
        for snapshot in looks:
            self._take(snapshot)
            quota = self._read_quota()
            with self._lock:
                if quota is not self._quota:
                    self._quota = quota
                    self._quota_blocked_until = _blocked_until(quota, self._clock())

    def _take(self, snapshot: CampaignSnapshot) -> None:
        with self._lock:
            self._snapshot, self._answered_at, self._failure = snapshot, self._monotonic(), ""
            self._log.recover(snapshot.at)
            self._log.look(snapshot, self._quota_blocked_until)

    def _fail(self, failure: Unavailable) -> None:
        with self._lock:
            self._failure = str(failure)

    def _count_workers(self) -> None:
        while True:
            names = self._ask_workers() if self._snapshot.campaign.status is Status.RUNNING else None
            with self._lock:
                if names is not None:
                    self._log.look_at_workers(self._clock(), names)
                wait_s = 0.0 if names is not None and self._log.misses_workers else _ASK_WORKERS_EVERY_S
            self._sleep(wait_s)

    def _sleep(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise _Closed


def _blocked_until(quota: TenantQuota | None, now: datetime) -> datetime | None:
    if quota is None or quota.blocked_for_s < 1:
        return None
    return now + timedelta(seconds=quota.blocked_for_s)
