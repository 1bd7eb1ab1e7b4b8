"""Takes batches of campaigns: leases one, opens it, and has it worked on."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from gatepost_core.blocks import block_of
from gatepost_core.campaigns.auth_params import open_auth_params
from gatepost_core.campaigns.batch import open_rows
from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Channel
from gatepost_core.campaigns.wire_format import check_stored
from gatepost_core.commands import Kind
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import ConfigurationError, SealError
from gatepost_worker.bulk.batch_size import Pacing
from gatepost_worker.bulk.lease import Lease
from gatepost_worker.bulk.redis_clock import RedisClock
from gatepost_worker.bulk.sending import Sender
from gatepost_worker.bulk.store import Claim, NotClaimed, Quota
from gatepost_worker.bulk.work import BLOCKED_WAIT_S, LONGEST_CHUNK_S, SLOT_S, BatchWork
from gatepost_worker.delivery.calls import START, deadline_of
from gatepost_worker.delivery.policy import RetryLimits
from gatepost_worker.limiter import Ceiling, LimiterKey, LimiterSettings

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    from gatepost_core.campaigns.publishing import BatchPublisher
    from gatepost_core.sealing import Keyring
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_core.settings import Settings
    from gatepost_core.states import State
    from gatepost_worker.bulk.store import BatchStore
    from gatepost_worker.delivery.clients import Clients
    from gatepost_worker.delivery.ownership import Ownership

_log = structlog.stdlib.get_logger("gatepost.worker")

_OVER: Final = frozenset({"missing", "cancelling", "cancelled", "finished", "deleting"})


@boundary
class BatchRunner:
    """Works on batches; one for the process, shared by its threads."""

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
        limits: RetryLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        stopping: Callable[[], bool] = lambda: False,
        replicated: Callable[[str, Mapping[str, str]], bool] = lambda _key, _written: True,
    ) -> None:
        """Put the parts together.

        Args:
            settings: the configuration.
            store: where batches are.
            publisher: puts the next batches on the broker.
            keyring: opens rows.
            fingerprints: for the lists and for logs.
            clients: an Authentication client a tenant.
            ownership: whose batches this worker may send.
            limits: how often a row is tried.
            monotonic: seconds that only go forward.
            sleep: waits so many seconds.
            stopping: whether this process is to end; a batch is then given back at its next row.
            replicated: whether enough replicas have what was just written into a hash; otherwise nothing leaves.
        """
        self.settings = settings
        self.store = store
        self.publisher = publisher
        self.keyring = keyring
        self.fingerprints = fingerprints
        self.clients = clients
        self.ownership = ownership
        self.limits = limits or RetryLimits.of(settings)
        self.monotonic = monotonic
        self.sleep = sleep
        self.stopping = stopping
        self.replicated = replicated
        self.pacing = Pacing(monotonic)
        self._quotas = {
            name: Quota(key=LimiterKey(name, START), settings=LimiterSettings.of(settings, tenant))
            for name, tenant in settings.all_tenants().items()
        }

    def run(self, campaign_id: str, batch: int) -> Counter[State] | None:
        """Bring a batch as far as this slot can; return how many rows ended how, or None when it was not ours.

        Raises:
            Unavailable: Redis did not answer; the reconciler finds the batch again.
        """
        claim = Claim(campaign_id, batch, uuid.uuid4().hex)
        claimed = self.store.claim(claim, self.lease_s(set(Channel)))
        if isinstance(claimed, NotClaimed):
            self._not_claimed(campaign_id, batch, claimed.why)
            return None
        clock = RedisClock(claimed.now, self.monotonic)
        try:
            options = Options.model_validate_json(claimed.options)
            self.ownership.require(options.tenant or "", claimed.application)
            rows = open_rows(claimed.sealed_rows, self.keyring, campaign_id, batch)
            check_stored(claimed.states, claimed.details, len(rows))
            auth_params = open_auth_params(claimed.sealed_auth_params, self.keyring, campaign_id)
            options = options.model_copy(update={"auth_params": auth_params})
            client = self.clients.of(options.tenant or "")
        except (SealError, ConfigurationError) as failure:
            _log.error("batch.blocked", campaign_id=campaign_id, batch=batch, error=str(failure))
            picked = self.store.block(claim, block_of(failure), wait_s=BLOCKED_WAIT_S)
            self.publisher.publish(campaign_id, picked or ())
            return None
        lease = Lease(
            self.store,
            claim,
            seconds=self.lease_s({row.kind for row in rows}),
            patience_s=self.settings.lease_margin,
            sleep=self.sleep,
        )
        sender = Sender(client, options, self.limits, clock=clock)
        return BatchWork(
            self, claim, lease=lease, claimed=claimed, rows=rows, options=options, sender=sender, clock=clock
        ).run()

    def quota_of(self, campaign_id: str, options: Options) -> Quota:
        """Return what a campaign's permits are taken from: its tenant's quota, and its own ceiling if it has one."""
        # A rate that was changed begins anew: the gap of the old one can be hours.
        ceiling = Ceiling(f"{campaign_id}:{options.rate:g}", options.rate) if options.rate else None
        return replace(self._quotas[options.tenant or ""], ceiling=ceiling)

    def lease_s(self, kinds: set[Channel]) -> float:
        """Return how long a lease must outlast its last step: the longest call, a wait in the slot, and a margin."""
        slow = deadline_of(Kind.SEND_SMS, self.settings) if Channel.SMS in kinds else 0.0
        longest = max(deadline_of(Kind.SEND_EMAIL, self.settings), slow)
        return longest + LONGEST_CHUNK_S + SLOT_S + self.settings.lease_margin

    def _not_claimed(self, campaign_id: str, batch: int, why: str) -> None:
        _log.debug("batch.not_claimed", campaign_id=campaign_id, batch=batch, why=why)
        if why in _OVER:
            self.pacing.forget(campaign_id)
