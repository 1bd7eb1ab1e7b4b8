"""Make a restored backup of Redis safe before workers start: messages that were open in the backup may have been sent after it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from gatepost.campaigns.control import Campaigns
from gatepost_core.broker.publishing import BROKER_ERRORS, build_app, connection_for_questions
from gatepost_core.campaigns.model import Status
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.errors import CampaignConflict, CampaignNotFound, CorruptRecord
from gatepost_core.ledger import ledger_at
from gatepost_core.ledger.values import Verdict
from gatepost_core.redis.connections import connect
from gatepost_core.redis.errors import broker_error, translated_errors
from gatepost_core.redis.keys import RedisKeys, milliseconds
from gatepost_operations.maintenance.queue_drain import QueueDrain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.settings import Settings

_PAGE: Final = 100
_ASK_WORKERS_S: Final = 2
_OVER: Final = frozenset({Status.FINISHED, Status.CANCELLED, Status.DELETING})


class WorkersAlive(CampaignConflict):
    """Workers are running; stop them first."""


@dataclass(slots=True)
class RecoveryResult:
    """The counts of a recovery, or of a dry run.

    Attributes:
        campaigns: paused campaigns.
        recipients: open recipients of these campaigns, which are now `unknown`.
        kept: campaigns whose recipients stay queued, because they sent nothing after the backup.
        operations: open sends and logins, which are now `unknown`.
        submissions: queued submissions, which are now dead letters.
        unreadable: ids of operations whose records are damaged. Delete their keys before workers start.
        already: whether this backup was recovered before, so that nothing was changed.
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
    """Recovers a restored backup. Use it as a context manager or close it.

    Every method raises `Unavailable` when Redis or the broker does not answer. Run it again then: it continues.

    Args:
        settings: the configuration.

    Raises:
        ConfigurationError: no sealing key or fingerprint key is configured.
    """

    def __init__(self, settings: Settings) -> None:
        self._redis = connect(settings)
        self._keys = RedisKeys(settings.namespace)
        self._ledger = ledger_at(self._redis, settings)
        self._campaigns = Campaigns(settings)
        self._app = build_app(settings)
        self._letters = DeadLetters(
            self._redis, self._keys, settings.keyring(), lifetime_s=settings.dead_letter_lifetime
        )
        self._queue = QueueDrain(self._app, settings.broker)

    def look(self, backup_of: datetime, keep: Collection[str] = ()) -> RecoveryResult:
        """Return the counts of a dry run of `run`. Arguments and errors are those of `run`."""
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
        """Pause every campaign, and mark everything as `unknown` that may have been sent after the backup.

        Paused campaigns and drafts may have been started or resumed after the backup, so their open recipients become `unknown` too. A
        campaign whose `start_at` is in the future has sent nothing, and is only paused.

        Args:
            backup_of: the time of the backup. A recovery that ended after it is not repeated.
            keep: ids of campaigns that sent nothing after the backup. They are only paused.

        Raises:
            WorkersAlive: workers answer. Stop them first.
        """
        self._refuse_workers()
        if self._is_done(backup_of):
            return RecoveryResult(already=True)
        done = RecoveryResult()
        with self._campaigns.audit.act("recover", backup_of=backup_of.isoformat(), keep=sorted(keep)) as found:
            for campaign, kept in list(self._affected(keep)):
                self._recover_campaign(campaign, done, keep=kept)
            for operation_id in list(self._ledger.open_ids()):
                self._recover_operation(operation_id, done)
            done.submissions = self._queue.drain(self._letters)
            with translated_errors():
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
            with connection_for_questions(self._app, _ASK_WORKERS_S) as connection:
                connection.ensure_connection(max_retries=1, timeout=_ASK_WORKERS_S)
                alive = self._app.control.inspect(timeout=_ASK_WORKERS_S, connection=connection).ping() or {}
        except BROKER_ERRORS as failure:
            raise broker_error(failure, "Workers may be running, so nothing was changed. Run this again.") from None
        if alive:
            raise WorkersAlive(
                f"Workers are running: {', '.join(sorted(alive))}. Stop them first; nothing was changed."
            )

    def _is_done(self, backup_of: datetime) -> bool:
        with translated_errors():
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
            if answer.verdict is not Verdict.FINISHED:
                return
        except (CorruptRecord, ValueError):
            done.unreadable.append(operation_id)
            return
        done.operations += 1
