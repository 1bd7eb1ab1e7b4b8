"""The batch task: claims a batch, opens its rows and sends them for a bounded time."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery import signals

from gatepost_core.blocks import block_of
from gatepost_core.campaigns.batch import open_auth_params, open_rows
from gatepost_core.campaigns.model import Options, read_options
from gatepost_core.campaigns.publishing import BatchPublisher
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.campaigns.wire_format import check_stored
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import ConfigurationError, SealError
from gatepost_core.kinds import CAMPAIGN_KINDS, CHANNELS, Endpoint, Queue
from gatepost_core.redis.replication import Replication
from gatepost_worker.bulk.calls import Carriers
from gatepost_worker.bulk.campaign_watch import CampaignWatch
from gatepost_worker.bulk.lease import Lease
from gatepost_worker.bulk.sending import Sender
from gatepost_worker.bulk.store import BatchStore, Claim, NotClaimed, PermitSource
from gatepost_worker.bulk.sweep import CampaignSweep
from gatepost_worker.bulk.tools import FeedSchedule, Tools
from gatepost_worker.bulk.work import BLOCKED_WAIT_S, SLOT_S, BatchWork
from gatepost_worker.delivery.calls import deadline_of
from gatepost_worker.delivery.policy import RetryLimits
from gatepost_worker.limiter import Ceiling, LimiterKey, LimiterSettings
from gatepost_worker.metrics.counts import WorkerMetrics
from gatepost_worker.metrics.names import BLOCKED, Work

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Mapping

    from celery import Celery

    from gatepost_core.kinds import Channel
    from gatepost_core.sealing import Keyring
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_core.settings import Settings
    from gatepost_core.states import State
    from gatepost_worker.delivery.clients import Clients
    from gatepost_worker.delivery.ownership import Ownership
    from gatepost_worker.process import Process

_log = structlog.stdlib.get_logger("gatepost.worker")

_OVER: Final = frozenset({"missing", "cancelling", "cancelled", "finished", "deleting"})


@boundary
class BatchRunner(Tools):
    """Sends batches. One runner serves a process and is shared by its threads."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: BatchStore,
        publisher: BatchPublisher,
        keyring: Keyring,
        fingerprints: Fingerprints,
        clients: Clients,
        ownership: Ownership,
        carriers: Carriers,
        threads: int = 1,
        limits: RetryLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        stopping: Callable[[], bool] = lambda: False,
        replicated: Callable[[str, Mapping[str, str]], bool] = lambda _key, _written: True,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        """Keep the parts that every batch uses.

        Args:
            settings: the configuration.
            store: the batches' records.
            publisher: puts batches on the broker.
            keyring: opens rows.
            fingerprints: identify recipients on the lists and in logs.
            clients: one Authentication client for each tenant.
            ownership: checks that a campaign is for this worker's Auth0 application.
            carriers: make the calls.
            threads: how many batches the process can send at once.
            limits: how often a row is tried; taken from the settings by default.
            monotonic: a monotonic clock, in seconds.
            sleep: sleeps for a number of seconds.
            stopping: returns whether the process is shutting down; a batch is then given back before its next row.
            replicated: returns whether enough replicas hold the fields just written to a hash; if not, nothing is sent.
            metrics: the process's counts.
        """
        self.settings = settings
        self.store = store
        self.publisher = publisher
        self.keyring = keyring
        self.fingerprints = fingerprints
        self.clients = clients
        self.ownership = ownership
        self.carriers = carriers
        self.threads = threads
        self.limits = limits or RetryLimits.of(settings)
        self.monotonic = monotonic
        self.sleep = sleep
        self.stopping = stopping
        self.replicated = replicated
        self.metrics = metrics or WorkerMetrics()
        self.schedule = FeedSchedule(monotonic)
        # The batches that are being sent. A set of tokens: adding and removing are atomic.
        self.running: set[str] = set()
        self._sources = {
            name: PermitSource(key=LimiterKey(name, Endpoint.START), settings=LimiterSettings.of(settings, tenant))
            for name, tenant in settings.all_tenants().items()
        }

    def run(self, campaign_id: str, batch: int) -> Counter[State] | None:
        """Send a batch's open rows for a bounded time, and return how many rows reached each final state.

        Returns:
            The counts, or None if the batch could not be claimed or was lost to another worker.

        Raises:
            Unavailable: Redis did not answer; the reconciler publishes the batch again.
        """
        claim = Claim(campaign_id, batch, uuid.uuid4().hex)
        claimed = self.store.claim(claim, self._lease_s(CHANNELS))
        if isinstance(claimed, NotClaimed):
            _log.debug("batch.not_claimed", campaign_id=campaign_id, batch=batch, why=claimed.why)
            if claimed.why in _OVER:
                self.schedule.forget(campaign_id)
                self.carriers.forget(campaign_id)
            return None
        try:
            options = read_options(claimed.options)
            self.ownership.require(options.tenant or "", claimed.application)
            rows = open_rows(claimed.sealed_rows, self.keyring, campaign_id, batch)
            check_stored(claimed.states, claimed.details, len(rows))
            auth_params = open_auth_params(claimed.sealed_auth_params, self.keyring, campaign_id)
            options = options.model_copy(update={"auth_params": auth_params})
            starts = self.clients.of(options.tenant or "").starts
            carrier = self.carriers.of(options.tenant or "", starts)
        except (SealError, ConfigurationError) as failure:
            _log.error("batch.blocked", campaign_id=campaign_id, batch=batch, error=str(failure))
            block = block_of(failure)
            self.metrics.add(BLOCKED, Work.BATCH, block.kind)
            picked = self.store.block(claim, block, wait_s=BLOCKED_WAIT_S)
            self.publisher.publish(campaign_id, picked or ())
            return None
        channels = {row.kind for row in rows}
        lease = Lease(
            self.store,
            claim,
            began=claimed.now,
            seconds=self._lease_s(channels),
            patience_s=self.settings.lease_margin,
            monotonic=self.monotonic,
            sleep=self.sleep,
        )
        work = BatchWork(
            self,
            lease,
            claimed=claimed,
            rows=rows,
            options=options,
            sender=Sender(starts, options, self.limits, clock=lease.now, clients=self.clients),
            carrier=carrier,
            source=self._source_of(campaign_id, options),
            longest_call_s=self._longest_call_s(channels),
        )
        self.running.add(claim.token)
        try:
            return work.run()
        finally:
            self.running.discard(claim.token)

    def _source_of(self, campaign_id: str, options: Options) -> PermitSource:
        # The rate is part of the ceiling's name: at a low old rate, the next permit could be hours away.
        ceiling = Ceiling(f"{campaign_id}:{options.rate:g}", options.rate) if options.rate else None
        return replace(self._sources[options.tenant or ""], ceiling=ceiling)

    def _lease_s(self, channels: Iterable[Channel]) -> float:
        """A lease lasts longer than its longest call and a wait in the slot, plus a margin."""
        return self._longest_call_s(channels) + SLOT_S + self.settings.lease_margin

    def _longest_call_s(self, channels: Iterable[Channel]) -> float:
        return max(deadline_of(CAMPAIGN_KINDS[channel], self.settings) for channel in channels)


class CampaignParts:
    """The objects that campaigns need in one worker process, each created on first use."""

    def __init__(self, app: Celery, process: Process) -> None:
        self._app = app
        self._process = process
        self._stopping = threading.Event()
        # By default Celery keeps only a weak reference to the receiver.
        signals.worker_ready.connect(self._watch, weak=False)
        signals.worker_shutting_down.connect(self._stop, weak=False)
        signals.worker_shutdown.connect(self._close, weak=False)

    @cached_property
    def store(self) -> CampaignStore:
        """The campaigns' records."""
        return CampaignStore(
            self._process.redis, self._process.keys, republish_after_s=self._process.settings.republish_after
        )

    @cached_property
    def publisher(self) -> BatchPublisher:
        """Puts batches on the broker."""
        return BatchPublisher(self._app, self.store)

    @cached_property
    def carriers(self) -> Carriers:
        """Make the calls of all batches."""
        return Carriers(calls=self._process.calls, threads=self._process.slots)

    @cached_property
    def runner(self) -> BatchRunner:
        """Sends batches."""
        process = self._process
        return BatchRunner(
            settings=process.settings,
            store=BatchStore(process.redis, process.keys, republish_after_s=process.settings.republish_after),
            publisher=self.publisher,
            keyring=process.keyring,
            fingerprints=process.settings.fingerprints(),
            clients=process.clients,
            ownership=process.ownership,
            carriers=self.carriers,
            threads=process.slots,
            stopping=self._stopping.is_set,
            replicated=Replication(process.redis, process.keys, process.settings.wait_replicas).reached,
            metrics=process.metrics,
        )

    @cached_property
    def sweep(self) -> CampaignSweep:
        """Repairs campaigns."""
        process = self._process
        return CampaignSweep(process.redis, process.keys, self.store, self.publisher, metrics=process.metrics)

    @cached_property
    def watch(self) -> CampaignWatch:
        """Logs the changes of campaigns, and looks for workers that were killed."""
        return CampaignWatch(self._process.redis, self._process.keys, self.store, self.publisher)

    def _watch(self, **_: Any) -> None:
        if self._process.keys.queue(Queue.BULK) in self._app.amqp.queues.consume_from:
            self.watch.start()

    def _stop(self, **_: Any) -> None:
        self._stopping.set()
        if "watch" in self.__dict__:
            self.watch.stop()

    def _close(self, **_: Any) -> None:
        if "carriers" in self.__dict__:
            self.carriers.close()
