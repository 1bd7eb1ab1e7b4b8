"""Operations on campaigns: create, add, start, pause, resume, cancel, retry, export, delete."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from gatepost.campaigns.blocks import block_of_tenant, own_application, require_ours, with_own_block
from gatepost.campaigns.creation import Creation, checked_id, require_ahead
from gatepost.campaigns.importing import Added, Import
from gatepost.campaigns.option_update import change_options
from gatepost.campaigns.repair import CampaignRepair
from gatepost.campaigns.report import Reports, campaign_of
from gatepost.campaigns.sent_before import SentBefore
from gatepost.campaigns.suppression import Suppressions
from gatepost_core.audit_log import AuditLog
from gatepost_core.broker.publishing import build_app
from gatepost_core.campaigns.batch import open_auth_params
from gatepost_core.campaigns.model import Campaign, Options, check_name
from gatepost_core.campaigns.publishing import BatchPublisher
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.campaigns.wire_format import STATES
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import CampaignNotFound, InvalidValue
from gatepost_core.identifiers import normalise_recipient
from gatepost_core.number_rules import Numbers, number_rules
from gatepost_core.redis.connections import connect
from gatepost_core.redis.key_checks import KeyChecks
from gatepost_core.redis.keys import RedisKeys, milliseconds
from gatepost_core.settings import load_settings
from gatepost_core.states import RETRYABLE
from gatepost_core.tenant_registry import TenantRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import datetime

    from redis import Redis

    from gatepost.campaigns.repair import Recounted
    from gatepost.campaigns.report import RecipientReport
    from gatepost_core.blocks import Block
    from gatepost_core.campaigns.row import Row
    from gatepost_core.reasons import Reason
    from gatepost_core.settings import Settings
    from gatepost_core.states import State

__all__ = ["Added", "Campaigns", "Retried"]


@dataclass(frozen=True, slots=True)
class Retried:
    """The recipients that `retry` found. Unless it was a dry run, they are queued."""

    dry_run: bool
    by_state: dict[State, int] = field(default_factory=dict)

    @property
    def matched(self) -> int:
        """The number of recipients."""
        return sum(self.by_state.values())


@boundary
class Campaigns:
    """All campaigns of one Redis. Thread-safe. Use it as a context manager, or close it.

    The audit log records each act before it happens: creation, added rows, starts, stops, changes, exports, deletions.

    Every method raises `CampaignNotFound` for an unknown campaign, `CampaignConflict` when the campaign's status does not allow the call,
    and `Unavailable` when Redis does not answer. `create` and `add` raise `KeyMismatch` when the workers have other keys.
    `add`, `start`, `resume` and `retry` also raise `CampaignConflict` when the campaign belongs to another Auth0 application.

    Args:
        settings: the configuration; read from the environment when absent.
        client: an open client of Redis. It stays open when this is closed.

    Raises:
        ConfigurationError: no sealing key, fingerprint key or tenant is configured.
    """

    def __init__(self, settings: Settings | None = None, client: Redis | None = None) -> None:
        self.settings = settings or load_settings()
        self._keyring = self.settings.keyring()
        self._fingerprints = self.settings.fingerprints()
        self._closes_client = client is None
        self._redis = client or connect(self.settings)
        keys = RedisKeys(self.settings.namespace)
        self._keys = KeyChecks(self._redis, keys, self._keyring, self._fingerprints)
        self._app = build_app(self.settings)
        self.store = CampaignStore(self._redis, keys, republish_after_s=self.settings.republish_after)
        self.audit = AuditLog(self._redis, keys, self._fingerprints, who=self.settings.operator)
        self.suppressions = Suppressions(self._redis, keys, self._fingerprints, self.audit)
        self._publisher = BatchPublisher(self._app, self.store)
        self.repair = CampaignRepair(self.store)
        self.reports = Reports(self._redis, keys, self._keyring)
        self.sent_before = SentBefore(self.settings, self.store, self._fingerprints, self._those_left)
        self._sharing: frozenset[str] = frozenset()
        self._creation = Creation(self.settings, self.store, self._keyring, self._fingerprints)

    def create(
        self,
        name: str,
        options: Options | None = None,
        *,
        guest_list: Iterable[str] | None = None,
        campaign_id: str | None = None,
        owner: str = "",
    ) -> str:
        """Record a campaign as a draft, and return its id.

        Args:
            name: a name for operators.
            options: how it is sent.
            guest_list: addresses and numbers for a rehearsal. Only these recipients get a message; all others become `suppressed`.
            campaign_id: a UUID. A second call with the same id and options changes nothing, even if the options were changed meanwhile.
            owner: the id of the API key that asked for it.

        Raises:
            CampaignConflict: a campaign with this id exists, with other options. The message names them. Nothing was changed.
            ConfigurationError: the options name a tenant that is not configured.
            SealError: a campaign with this id exists, and its `auth_params` cannot be opened and compared.
            InvalidCommand: the name is empty, too long or has a character that is not shown, the id is not a UUID, or the start or the
                deadline is in the past.
            ValueError: a guest is neither an address nor a number, or there are more than 1,000 guests.
        """
        check_name(name)
        self._keys.require_once()
        campaign_id, options = checked_id(campaign_id), options or Options()
        require_ahead(self.store, campaign_id, options)
        about = {"options": options.not_personal(), "rehearsal": guest_list is not None}
        with self.audit.act("campaign.create", campaign=campaign_id, **about):
            self._creation.run(campaign_id, name, options, guest_list, owner)
        return campaign_id

    def add(
        self,
        campaign_id: str,
        rows: Iterable[Row],
        *,
        numbers: str = Numbers.PLAN,
        allow_landlines: bool = False,
        on_progress: Callable[[Added], None] | None = None,
    ) -> Added:
        """Add recipients, each once. Recipients that the campaign already has count as duplicates.

        After an interruption, call it again with the same rows: it adds the missing ones. A finished campaign runs again.

        Args:
            campaign_id: the campaign.
            rows: the valid rows of a file, or rows of your own, which are checked and normalised like those of a file. They are streamed.
            numbers: for rows of your own: `plan` accepts the phone numbers of the number plan; `length` also others of a possible length.
            allow_landlines: accept phone numbers of your own rows that cannot receive SMS.
            on_progress: called after every batch.

        Raises:
            InvalidCommand: one of your own rows is invalid. All rows before it are in the campaign. The message gives the row's position, from
                1, and how many rows before it were added or were duplicates. Correct the row, and call it again with these rows or the rest.
        """
        campaign = self.status(campaign_id)
        require_ours(campaign, self.settings)
        self._keys.require_once()
        run = Import(
            campaign_id,
            campaign.batches,
            store=self.store,
            keyring=self._keyring,
            fingerprints=self._fingerprints,
            on_progress=on_progress,
        )
        rules = number_rules(numbers, allow_landlines=allow_landlines)
        try:
            with self.audit.act("campaign.add", campaign=campaign_id) as found:
                try:
                    return run.run(rows, rules)
                finally:
                    found.update(added=run.so_far.added, duplicates=run.so_far.duplicates)
        finally:
            # After an error, too: a running campaign has the rows before it.
            self._publisher.feed(campaign_id)

    def start(self, campaign_id: str) -> Campaign:
        """Start a draft."""
        require_ours(self.status(campaign_id), self.settings)
        with self.audit.act("campaign.start", campaign=campaign_id):
            self.store.start(campaign_id, self._opening(campaign_id))
        return self._fed(campaign_id)

    def pause(self, campaign_id: str) -> Campaign:
        """Pause a campaign. Every worker stops before its next recipient."""
        with self.audit.act("campaign.pause", campaign=campaign_id):
            self.store.pause(campaign_id)
        return self.status(campaign_id)

    def resume(self, campaign_id: str, *, accept_tenant: bool = False) -> Campaign:
        """Resume a paused campaign. Failures in a row and the share of failures are counted anew.

        Args:
            campaign_id: the campaign.
            accept_tenant: from now on, send the campaign through the Auth0 application of this configuration, after a client id or a
                domain was changed on purpose. The campaign may then also be running, a draft, or ended.

        Raises:
            ConfigurationError: the campaign's tenant is not configured here.
        """
        campaign = self.status(campaign_id)
        application = own_application(campaign, self.settings) if accept_tenant else None
        if application is None:
            require_ours(campaign, self.settings)
        about = {"application": application.stored} if application else {}
        with self.audit.act("campaign.resume", campaign=campaign_id, **about):
            self.store.resume(campaign_id, self._opening(campaign_id), application)
        return self._fed(campaign_id)

    def cancel(self, campaign_id: str) -> Campaign:
        """Cancel a campaign. Recipients without an attempt become `cancelled`."""
        with self.audit.act("campaign.cancel", campaign=campaign_id):
            self.store.cancel(campaign_id)
        self.store.close(campaign_id)
        return self.status(campaign_id)

    def change_deadline(self, campaign_id: str, deadline: datetime | None) -> Campaign:
        """Set another deadline, or none. Expired recipients stay `expired` until they are retried.

        Raises:
            InvalidCommand: the deadline is in the past.
        """
        Options(deadline=deadline).require_ahead(self.store.now(campaign_id))
        return self._change(campaign_id, {"deadline": deadline})

    def change_rate(self, campaign_id: str, rate: float | None) -> Campaign:
        """Set another maximum of recipients a second, or none. It applies from each worker's next batch, within a minute."""
        return self._change(campaign_id, {"rate": rate})

    def retry(
        self,
        campaign_id: str,
        states: Collection[State],
        reasons: Collection[Reason] | None = None,
        *,
        dry_run: bool = False,
    ) -> Retried:
        """Queue recipients again that ended in these states, for these reasons.

        A finished or cancelled campaign runs again. Retrying `unknown` can send a second message, which voids the code in the first.

        Args:
            campaign_id: the campaign.
            states: final states other than `accepted`.
            reasons: the reasons to retry; all when absent, and no recipient if it is empty.
            dry_run: only count.

        Raises:
            ValueError: a state cannot be retried.
        """
        refused = sorted(state.value for state in set(states) - RETRYABLE)
        if refused:
            raise InvalidValue(f"cannot be retried: {', '.join(refused)}; choose among {', '.join(sorted(RETRYABLE))}")
        if dry_run:
            return self._retry(campaign_id, states, reasons, dry_run=True)
        require_ours(self.status(campaign_id), self.settings)
        wanted = {"states": sorted(states), "reasons": sorted(reasons or ())}
        with self.audit.act("campaign.retry", campaign=campaign_id, **wanted) as found:
            retried = self._retry(campaign_id, states, reasons, dry_run=False)
            found["recipients"] = retried.matched
        self._publisher.feed(campaign_id)
        return retried

    def delete(self, campaign_id: str) -> None:
        """Delete a campaign and everything stored about its recipients."""
        with self.audit.act("campaign.delete", campaign=campaign_id):
            self.store.delete(campaign_id)

    def recount(self, campaign_id: str, *, on_progress: Callable[[int], None] = lambda _: None) -> Recounted:
        """Count a campaign's recipients anew when its counts do not add up. See `CampaignRepair.recount`."""
        with self.audit.act("campaign.recount", campaign=campaign_id) as found:
            counted = self.repair.recount(campaign_id, on_progress=on_progress)
            found.update(counted.as_json())
        return counted

    def status(self, campaign_id: str) -> Campaign:
        """Return a campaign with its counts and its blocks. The call reads the record only, whatever the size of the campaign."""
        record = self.store.record(campaign_id)
        found = with_own_block(campaign_of(campaign_id, record, self.store.blocks(campaign_id)), self.settings)
        return replace(found, shares_name=True) if campaign_id in self._sharing else found

    def block_of_tenant(self, name: str | None) -> Block | None:
        """Return the known blocks of a new campaign of this tenant."""
        return block_of_tenant(self.settings, TenantRegistry(self._redis, RedisKeys(self.settings.namespace)), name)

    def auth_params(self, campaign_id: str) -> dict[str, Any] | None:
        """Return a campaign's `authParams` in clear.

        Raises:
            SealError: they cannot be opened. Their key may no longer be in the ring.
        """
        return open_auth_params(self.store.record(campaign_id).get("auth_params", ""), self._keyring, campaign_id)

    def list(self, limit: int = 100, offset: int = 0) -> list[Campaign]:
        """Return campaigns, the newest first."""
        return [*self._those_left(self.store.campaign_ids(offset, limit))]

    def names(self) -> dict[str, str]:
        """Return the names of all campaigns by id, the newest first.

        Afterwards, `status` and `list` tell which campaigns share a name (`Campaign.shares_name`).
        """
        names = self.store.names()
        uses = Counter(names.values())
        self._sharing = frozenset(campaign_id for campaign_id, name in names.items() if uses[name] > 1)
        return names

    def active(self) -> tuple[Campaign, ...]:
        """Return the campaigns that were started and have not ended."""
        return self._those_left(self.store.active_ids())

    def export(self, campaign_id: str, states: Collection[State] | None = None) -> Iterator[RecipientReport]:
        """Yield the recipients in these states, or all, in the order in which they were added.

        Raises:
            SealError: a batch cannot be opened. Its key may no longer be in the ring.
        """
        batches = self.status(campaign_id).batches
        named = None if states is None else sorted(states)
        with self.audit.act("campaign.export", campaign=campaign_id, states=named):
            return self.reports.all_of(campaign_id, batches, states)

    def show(self, campaign_id: str, recipient: str) -> RecipientReport | None:
        """Return the state of one recipient, or None if the campaign does not have it.

        Args:
            campaign_id: the campaign.
            recipient: an address or number in clear.

        Raises:
            ValueError: it is neither an address nor a number.
        """
        self.store.record(campaign_id)
        number = self.store.number_of(
            campaign_id, self._fingerprints.campaign(campaign_id, normalise_recipient(recipient))
        )
        return None if number is None else self.reports.one(campaign_id, number)

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
        if self._closes_client:
            self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _those_left(self, campaign_ids: Iterable[str]) -> tuple[Campaign, ...]:
        found = []
        for campaign_id in campaign_ids:
            # Deleted meanwhile.
            with suppress(CampaignNotFound):
                found.append(self.status(campaign_id))
        return tuple(found)

    def _fed(self, campaign_id: str) -> Campaign:
        self._publisher.feed(campaign_id)
        return self.status(campaign_id)

    def _retry(
        self, campaign_id: str, states: Collection[State], reasons: Collection[Reason] | None, *, dry_run: bool
    ) -> Retried:
        if reasons is not None and not reasons:
            return Retried(dry_run, {})
        found = self.store.retry(
            campaign_id,
            "".join(state.char for state in states).encode(),
            bytes(reason.code for reason in reasons or ()),
            dry_run=dry_run,
        )
        return Retried(dry_run, {STATES[char]: number for char, number in found.items()})

    def _opening(self, campaign_id: str) -> int | None:
        options = self.status(campaign_id).options
        # By Redis's clock, as in the scripts: this machine's may be wrong.
        now = self.store.now(campaign_id)
        opening = options.opens_at(now)
        return milliseconds(opening) if opening > now else None

    def _change(self, campaign_id: str, changes: dict[str, Any]) -> Campaign:
        def changed(options: Options) -> Options:
            return Options.model_validate({**dict(options), **changes})

        # Invalid options are refused before the audit log records the change.
        before = self.status(campaign_id).options
        old, new = (one.model_dump(mode="json", include=set(changes)) for one in (before, changed(before)))
        values = {name: [old[name], new[name]] for name in sorted(changes)}
        with self.audit.act("campaign.change", campaign=campaign_id, changes=values):
            change_options(self.store, campaign_id, changed)
        return self.status(campaign_id)
