"""Campaigns as operators handle them: create, add, start, pause, resume, cancel, retry, export, delete."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final, Self

from gatepost.campaigns.blocks import block_of_tenant, own_application, require_ours, with_own_block
from gatepost.campaigns.importing import Added, Import
from gatepost.campaigns.option_update import change_options, refuse_other_options
from gatepost.campaigns.recipients import normalised
from gatepost.campaigns.repair import CampaignRepair
from gatepost.campaigns.report import Reports, campaign_of
from gatepost.campaigns.retries import Retried
from gatepost.campaigns.suppression import Suppressions
from gatepost_core.applications import TenantRegistry
from gatepost_core.audit_log import AuditLog
from gatepost_core.broker.publishing import build_app
from gatepost_core.campaigns.auth_params import open_auth_params, seal_auth_params
from gatepost_core.campaigns.model import Campaign, CampaignNotFound, Options, check_name
from gatepost_core.campaigns.publishing import BatchPublisher
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.campaigns.wire_format import STATES
from gatepost_core.error_boundary import boundary, items_of_caller
from gatepost_core.errors import FieldError, InvalidCommand, InvalidValue
from gatepost_core.redis.connections import connect
from gatepost_core.redis.stored_values import milliseconds
from gatepost_core.sealing.key_checks import KeyChecks
from gatepost_core.settings import load_settings
from gatepost_core.states import RETRYABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import datetime
    from types import TracebackType

    from redis import Redis

    from gatepost.campaigns.repair import Recounted
    from gatepost.campaigns.report import RecipientReport
    from gatepost_core.blocks import Block
    from gatepost_core.campaigns.row import Row
    from gatepost_core.reasons import Reason
    from gatepost_core.settings import Settings
    from gatepost_core.states import State

__all__ = ["Added", "Campaigns", "Retried"]

# Batches under way until the first answers are there.
_FIRST_IN_FLIGHT_LIMIT: Final = 4
_MOST_GUESTS: Final = 1000


@boundary
class Campaigns:
    """All campaigns of one Redis. Thread-safe; use it as a context manager or close it.

    Whatever starts, stops, changes, reveals or deletes is in the audit log before it is done.

    Every method raises `CampaignNotFound` for a campaign that is not there, `CampaignConflict` when its status forbids what is
    asked, and `Unavailable` when Redis does not answer. `create` and `add` raise `KeyMismatch` when the workers have other keys.
    What makes messages leave (`add`, `start`, `resume`, `retry`) is a `CampaignConflict` too when the campaign is for another
    Auth0 application than this configuration's.

    Args:
        settings: the configuration; read from the environment when absent.
        client: connections to Redis that are there; they are not closed with this.

    Raises:
        ConfigurationError: no sealing key, fingerprint key or tenant is configured.
    """

    def __init__(self, settings: Settings | None = None, client: Redis | None = None) -> None:
        self.settings = settings or load_settings()
        self._keyring = self.settings.keyring()
        self._fingerprints = self.settings.fingerprints()
        self._closes_client = client is None
        self._redis = client or connect(self.settings)
        keys = self.settings.redis_keys
        self._keys = KeyChecks(self._redis, keys, self._keyring, self._fingerprints)
        self._app = build_app(self.settings)
        self.store = CampaignStore(self._redis, keys, republish_after_s=self.settings.republish_after)
        self.audit = AuditLog(self._redis, keys, self._fingerprints, who=self.settings.operator)
        self.suppressions = Suppressions(self._redis, keys, self._fingerprints, self.audit)
        self._publisher = BatchPublisher(self._app, self.store)
        self.repair = CampaignRepair(self._redis, keys)
        self.reports = Reports(self._redis, keys, self._keyring)

    def create(
        self,
        name: str,
        options: Options | None = None,
        *,
        guest_list: Iterable[str] | None = None,
        campaign_id: str | None = None,
    ) -> str:
        """Record a campaign as a draft, and return its id.

        Args:
            name: what people call it.
            options: how it is sent.
            guest_list: the only people who are really sent to, for a rehearsal; the others become `suppressed`.
            campaign_id: a UUID; a second call with the same one and the same options changes nothing, also when they were changed meanwhile.

        Raises:
            CampaignConflict: there is a campaign of this id, with other options; names them, and nothing was changed.
            ConfigurationError: the options name a tenant that is not configured.
            SealError: there is a campaign of this id, whose `auth_params` do not open, so that they cannot be compared.
            InvalidCommand: the name is empty or long or has a character that is not shown, or the id is no UUID.
            ValueError: a guest is neither an address nor a number, or there are more guests than a rehearsal needs.
        """
        check_name(name)
        self._keys.require_once()
        campaign_id = _checked_id(campaign_id) if campaign_id else str(uuid.uuid4())
        chosen = options or Options()
        changes: dict[str, Any] = {"tenant": self.settings.tenant_name(chosen.tenant)}
        if guest_list is not None:
            changes["guests"] = self._guests(campaign_id, guest_list)
        chosen = chosen.model_copy(update=changes)
        # What was asked for first, however it is changed meanwhile: who asks for the same again means the same campaign.
        asked = self._fingerprints.digest("options", campaign_id, _canonical(chosen)).hex()
        fields = {
            "name": name,
            "options": chosen.stored(),
            "asked": asked,
            "on_unknown": chosen.on_unknown.value,
            "max_attempts": self.settings.max_attempts,
            "in_flight_limit": min(_FIRST_IN_FLIGHT_LIMIT, chosen.max_in_flight),
            "max_in_flight": chosen.max_in_flight,
            "pause_after_errors": chosen.pause_after_errors or 0,
            "pause_above_error_share": chosen.pause_above_error_share or 0,
            "deadline": _milliseconds(chosen.deadline),
        }
        if application := self.settings.applications().get(changes["tenant"]):
            fields["application"] = application.stored
        if sealed := seal_auth_params(chosen.auth_params, self._keyring, campaign_id):
            fields["auth_params"] = sealed
        stored = self.store.create(campaign_id, fields)
        if stored is not None and stored.asked != asked:
            kept = Options.model_validate_json(stored.options)
            opened = open_auth_params(stored.auth_params, self._keyring, campaign_id)
            refuse_other_options(chosen, kept.model_copy(update={"auth_params": opened}))
        return campaign_id

    def add(
        self, campaign_id: str, rows: Iterable[Row], *, on_progress: Callable[[Added], None] | None = None
    ) -> Added:
        """Add recipients, each once: those the campaign has already are counted as duplicates and left alone.

        Run it again after an interruption; it goes on where it was. A finished campaign runs again.

        Args:
            campaign_id: the campaign.
            rows: the valid rows of a file, or your own, which are checked and normalised as a file's; they are read as a stream.
            on_progress: is called after every batch.

        Raises:
            InvalidCommand: one of your own rows is not valid; what was added before it stays.
        """
        campaign = self.status(campaign_id)
        require_ours(campaign, self.settings)
        self._keys.require_once()
        added = Import(
            campaign_id,
            campaign.batches,
            store=self.store,
            keyring=self._keyring,
            fingerprints=self._fingerprints,
            on_progress=on_progress,
        ).run(rows)
        self._publisher.feed(campaign_id)
        return added

    def start(self, campaign_id: str) -> Campaign:
        """Start a draft."""
        require_ours(self.status(campaign_id), self.settings)
        with self.audit.act("campaign.start", campaign=campaign_id):
            self.store.start(campaign_id, self._opening(campaign_id))
        return self._fed(campaign_id)

    def pause(self, campaign_id: str) -> Campaign:
        """Pause a campaign: every worker stops before its next recipient."""
        with self.audit.act("campaign.pause", campaign=campaign_id):
            self.store.pause(campaign_id)
        return self.status(campaign_id)

    def resume(self, campaign_id: str, *, accept_tenant: bool = False) -> Campaign:
        """Let a paused campaign go on; runs and shares of failures are counted anew.

        Args:
            campaign_id: the campaign.
            accept_tenant: send it from now on through this configuration's Auth0 application, after a client id or a domain
                was changed on purpose. It may run already, be a draft, or have ended.

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
        """Stop a campaign for good: whoever has not been sent to becomes `cancelled`."""
        with self.audit.act("campaign.cancel", campaign=campaign_id):
            self.store.cancel(campaign_id)
        self.store.close(campaign_id)
        return self.status(campaign_id)

    def change_deadline(self, campaign_id: str, deadline: datetime | None) -> Campaign:
        """Set another deadline, or none. Recipients that have expired stay so until they are retried."""
        return self._change(campaign_id, {"deadline": deadline}, {"deadline": _milliseconds(deadline)})

    def change_rate(self, campaign_id: str, rate: float | None) -> Campaign:
        """Set another ceiling on recipients a second, or none; it holds from the next batch on, within a minute."""
        return self._change(campaign_id, {"rate": rate}, {})

    def retry(
        self,
        campaign_id: str,
        states: Collection[State],
        reasons: Collection[Reason] | None = None,
        *,
        dry_run: bool = False,
    ) -> Retried:
        """Queue recipients again who ended in one of these states, for one of these reasons if any are named.

        A finished or cancelled campaign runs again. Retrying `unknown` sends a second message to whoever got the first, whose code
        is then void.

        Args:
            campaign_id: the campaign.
            states: final states other than `accepted`.
            reasons: only these; all when absent.
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
        """Delete a campaign with everything that was kept of its recipients."""
        with self.audit.act("campaign.delete", campaign=campaign_id):
            self.store.delete(campaign_id)

    def recount(self, campaign_id: str, *, on_progress: Callable[[int], None] = lambda _: None) -> Recounted:
        """Count a campaign's recipients anew, batch by batch, when its counts do not add up. See `CampaignRepair.recount`."""
        with self.audit.act("campaign.recount", campaign=campaign_id) as found:
            counted = self.repair.recount(campaign_id, on_progress=on_progress)
            found.update(counted.as_json())
        return counted

    def status(self, campaign_id: str) -> Campaign:
        """Return how a campaign stands, and what keeps workers from it; nothing is scanned."""
        record = self.store.record(campaign_id)
        return with_own_block(campaign_of(campaign_id, record, self.store.blocks(campaign_id)), self.settings)

    def block_of_tenant(self, name: str | None) -> Block | None:
        """Return what would keep the workers of this Redis from a new campaign of this tenant; None when nothing is known to."""
        return block_of_tenant(self.settings, TenantRegistry(self._redis, self.settings.redis_keys), name)

    def auth_params(self, campaign_id: str) -> dict[str, Any] | None:
        """Return the `authParams` that a campaign was made with, opened.

        Raises:
            SealError: they do not open; their key may have left the ring.
        """
        return open_auth_params(self.store.record(campaign_id).get("auth_params", ""), self._keyring, campaign_id)

    def list(self, limit: int = 100, offset: int = 0) -> list[Campaign]:
        """Return campaigns, the newest first."""
        found = []
        for campaign_id in self.store.campaign_ids(offset, limit):
            try:
                found.append(self.status(campaign_id))
            except CampaignNotFound:  # deleted meanwhile
                continue
        return found

    def active(self) -> tuple[Campaign, ...]:
        """Return the campaigns that have been started and have not ended."""
        found = []
        for campaign_id in self.store.active_ids():
            try:
                found.append(self.status(campaign_id))
            except CampaignNotFound:  # deleted meanwhile
                continue
        return tuple(found)

    def export(self, campaign_id: str, states: Collection[State] | None = None) -> Iterator[RecipientReport]:
        """Give the recipients in these states, or all, in the order they were added.

        Raises:
            SealError: a batch does not open; its key may have left the ring.
        """
        batches = self.status(campaign_id).batches
        named = None if states is None else sorted(states)
        with self.audit.act("campaign.export", campaign=campaign_id, states=named):
            return self.reports.all_of(campaign_id, batches, states)

    def show(self, campaign_id: str, recipient: str) -> RecipientReport | None:
        """Return what happened to one recipient; None when the campaign does not have it.

        Args:
            campaign_id: the campaign.
            recipient: an address or number in clear.

        Raises:
            ValueError: it is neither an address nor a number.
        """
        self.store.record(campaign_id)
        number = self.reports.number_of(campaign_id, self._fingerprints.campaign(campaign_id, normalised(recipient)))
        return None if number is None else self.reports.one(campaign_id, number)

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
        if self._closes_client:
            self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fed(self, campaign_id: str) -> Campaign:
        self._publisher.feed(campaign_id)
        return self.status(campaign_id)

    def _retry(
        self, campaign_id: str, states: Collection[State], reasons: Collection[Reason] | None, *, dry_run: bool
    ) -> Retried:
        found = self.store.retry(
            campaign_id,
            "".join(state.char for state in states).encode(),
            bytes(reason.code for reason in reasons or ()),
            dry_run=dry_run,
        )
        return Retried(dry_run, {STATES[char]: number for char, number in found.items()})

    def _guests(self, campaign_id: str, guest_list: Iterable[str]) -> frozenset[str]:
        guests = map(normalised, items_of_caller(guest_list))
        marks = frozenset(self._fingerprints.campaign(campaign_id, guest).hex() for guest in guests)
        # Every batch carries the list to its worker.
        if len(marks) > _MOST_GUESTS:
            raise InvalidValue(f"a guest list has at most {_MOST_GUESTS} guests")
        return marks

    def _opening(self, campaign_id: str) -> int | None:
        options = self.status(campaign_id).options
        # This machine's clock may be wrong; workers go by Redis's too.
        now = self.store.now(campaign_id)
        opening = options.opens_at(now)
        return milliseconds(opening) if opening > now else None

    def _change(self, campaign_id: str, changes: dict[str, Any], mirrored: dict[str, str | int]) -> Campaign:
        def changed(options: Options) -> Options:
            return Options.model_validate({**dict(options), **changes})

        # What is not valid is refused before it stands in the audit log.
        changed(self.status(campaign_id).options)
        with self.audit.act("campaign.change", campaign=campaign_id, options=sorted(changes)):
            change_options(self.store, campaign_id, changed, mirrored)
        return self.status(campaign_id)


def _canonical(options: Options) -> str:
    said = options.model_dump(mode="json")
    return json.dumps({**said, "guests": said["guests"] and sorted(said["guests"])}, sort_keys=True)


def _checked_id(given: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise InvalidCommand([FieldError("campaign_id", "must be a UUID")]) from None


def _milliseconds(at: datetime | None) -> int | str:
    return "" if at is None else milliseconds(at)
