"""What has to be done to a Redis that was restored from a backup, before workers start: what was open then may have been sent since."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from celery import states as celery_states
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from gatepost.campaigns.control import Campaigns
from gatepost_core.broker.publishing import build_app
from gatepost_core.campaigns.model import CampaignConflict, CampaignNotFound, Status
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.errors import CorruptRecord, Unavailable, failure_of
from gatepost_core.ledger import milliseconds
from gatepost_core.ledger.values import Verdict
from gatepost_core.redis.connections import connect, ledger_at
from gatepost_core.redis.errors import answering
from gatepost_operations.maintenance.restored_queue import RestoredQueue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.settings import Settings

"""The key that holds when a restored backup was dealt with last, in milliseconds since the epoch. No earlier backup has it."""
_PAGE: Final = 100
_ASK_WORKERS_S: Final = 2
_OVER: Final = frozenset({Status.FINISHED, Status.CANCELLED, Status.DELETING})


class WorkersAlive(CampaignConflict):
    """Workers are running; stop them first."""


@dataclass(slots=True)
class RecoveryResult:
    """What a recovery did, or would do.

    Attributes:
        campaigns: campaigns that are paused.
        recipients: their open recipients that are `unknown`.
        kept: campaigns whose recipients stay queued, because they are known not to have been sent to.
        operations: open sends and logins that are `unknown`.
        submissions: submissions that waited on the queue, and are dead letters.
        unreadable: ids of operations that could not be ended; delete their keys before workers start.
        already: whether this backup was dealt with before, so that nothing was done.
    """

    campaigns: int = 0
    recipients: int = 0
    kept: int = 0
    operations: int = 0
    submissions: int = 0
    unreadable: list[str] = field(default_factory=list)
    already: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


class Recovery:
    """Deals with a restored backup. Use it as a context manager or close it.

    Every method raises `Unavailable` when Redis or the broker does not answer; run it again then, it goes on where it was.

    Args:
        settings: the configuration.

    Raises:
        ConfigurationError: no sealing key or fingerprint key is configured.
    """

    def __init__(self, settings: Settings) -> None:
        self._redis = connect(settings)
        self._keys = settings.redis_keys
        self._ledger = ledger_at(self._redis, settings)
        self._campaigns = Campaigns(settings)
        self._app = build_app(settings)
        self._letters = DeadLetters(
            self._redis, self._keys, settings.keyring(), lifetime_s=settings.dead_letter_lifetime
        )
        self._queue = RestoredQueue(self._app, settings.broker)

    def look(self, backup_of: datetime, keep: Collection[str] = ()) -> RecoveryResult:
        """Say what `run` would do, and do nothing. Arguments and errors are those of `run`."""
        self._refuse_workers()
        found = RecoveryResult(already=self._is_done(backup_of))
        if found.already:
            return found
        for campaign, kept in self._affected(keep):
            found.campaigns += campaign.status is not Status.DRAFT or not kept
            found.kept += kept
            found.recipients += 0 if kept else campaign.open
        found.operations = sum(1 for _ in self._ledger.open_ids())
        found.submissions = self._queue.submissions()
        return found

    def run(self, backup_of: datetime, keep: Collection[str] = ()) -> RecoveryResult:
        """Pause every campaign, and end as `unknown` whatever may have been sent after the backup.

        A backup does not know what was started, resumed or sent after it. So the open recipients of paused campaigns and drafts are `unknown`
        too, except where nothing was to be sent before a `start_at` that is still ahead.

        Args:
            backup_of: the moment of the backup. A recovery that has ended since then is not repeated.
            keep: ids of campaigns that surely sent nothing after it; they are only paused.

        Raises:
            WorkersAlive: workers answer; end them first.
        """
        self._refuse_workers()
        if self._is_done(backup_of):
            return RecoveryResult(already=True)
        done = RecoveryResult()
        told = {"backup_of": backup_of.isoformat(), "keep": sorted(keep)}
        with self._campaigns.audit.act("recover", **told) as found:
            for campaign, kept in list(self._affected(keep)):
                self._recover_campaign(campaign, done, keep=kept)
            for operation_id in list(self._ledger.open_ids()):
                self._recover_operation(operation_id, done)
            done.submissions = self._queue.drain(self._letters)
            with answering():
                seconds, micros = self._redis.time()
                self._redis.set(self._keys.recovered, int(seconds) * 1000 + int(micros) // 1000)
            found.update(done.as_json())
        return done

    def close(self) -> None:
        """Close the connections."""
        self._campaigns.close()
        self._app.close()
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_workers(self) -> None:
        try:
            with self._app.connection_for_write(connect_timeout=_ASK_WORKERS_S) as connection:
                connection.ensure_connection(max_retries=1, timeout=_ASK_WORKERS_S)
                alive = self._app.control.inspect(timeout=_ASK_WORKERS_S, connection=connection).ping() or {}
        except (KombuError, RedisError, OSError) as failure:
            name = type(failure).__name__
            raise Unavailable(
                f"The broker did not answer ({name}), so workers may be running. Check it and run this again; nothing was changed."
            ) from None
        if alive:
            raise WorkersAlive(
                f"Workers are running: {', '.join(sorted(alive))}. Stop them first; nothing was changed."
            )

    def _is_done(self, backup_of: datetime) -> bool:
        with answering():
            ended = self._redis.get(self._keys.recovered)
        return ended is not None and milliseconds(backup_of) <= int(ended)

    def _affected(self, keep: Collection[str]) -> Iterator[tuple[Campaign, bool]]:
        start = 0
        while page := self._campaigns.store.campaign_ids(start, _PAGE):
            start += len(page)
            for campaign_id in page:
                try:
                    campaign = self._campaigns.status(campaign_id)
                except CampaignNotFound:
                    continue
                if campaign.status in _OVER or (campaign.status is Status.DRAFT and not campaign.total):
                    continue
                start_at = campaign.options.start_at
                ahead = start_at is not None and start_at > self._campaigns.store.now(campaign_id)
                yield campaign, ahead or campaign_id in keep

    def _recover_campaign(self, campaign: Campaign, done: RecoveryResult, *, keep: bool) -> None:
        done.recipients += self._campaigns.repair.recover(campaign.campaign_id, keep=keep)
        done.campaigns += campaign.status is not Status.DRAFT or not keep
        done.kept += keep

    def _recover_operation(self, operation_id: str, done: RecoveryResult) -> None:
        try:
            answer = self._ledger.recover(operation_id)
            if answer.verdict is not Verdict.FINISHED or answer.reason is None:
                return
        except (CorruptRecord, ValueError):
            done.unreadable.append(operation_id)
            return
        done.operations += 1
        # For callers that wait for Celery's copy. The ledger has the outcome whether it can be stored or not.
        with suppress(RedisError, KombuError, OSError):
            failure = failure_of(operation_id, answer.reason, answer.detail)
            self._app.backend.store_result(operation_id, failure, celery_states.FAILURE)
