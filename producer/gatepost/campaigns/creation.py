"""Records a campaign as a draft, once: a repeated call with the same id and options changes nothing."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.batch import open_auth_params, seal_auth_params
from gatepost_core.campaigns.model import Options, read_options
from gatepost_core.error_boundary import items_of_caller
from gatepost_core.errors import CampaignConflict, CampaignNotFound, FieldError, InvalidCommand, InvalidValue
from gatepost_core.identifiers import normalise_recipient

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost_core.campaigns.store import CampaignStore
    from gatepost_core.sealing import Keyring
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_core.settings import Settings

MOST_GUESTS: Final = 1000
"""People on a guest list. Every batch carries it to its worker."""


def checked_id(given: str | None) -> str:
    """Return a campaign's id in its usual form, or a new one.

    Raises:
        InvalidCommand: it is not a UUID.
    """
    try:
        return str(uuid.UUID(given) if given else uuid.uuid4())
    except ValueError:
        raise InvalidCommand([FieldError("campaign_id", "must be a UUID")]) from None


def require_ahead(store: CampaignStore, campaign_id: str, options: Options) -> None:
    """Check the times of a campaign that does not exist yet. A call that is repeated later is not refused.

    Raises:
        InvalidCommand: the start or the deadline is in the past.
    """
    if options.start_at or options.deadline:
        try:
            store.record(campaign_id)
        except CampaignNotFound:
            options.require_ahead(store.now(campaign_id))


class Creation:
    """Creates the campaigns of one Redis."""

    def __init__(self, settings: Settings, store: CampaignStore, keyring: Keyring, fingerprints: Fingerprints) -> None:
        self._settings = settings
        self._store = store
        self._keyring = keyring
        self._fingerprints = fingerprints

    def run(
        self, campaign_id: str, name: str, options: Options, guest_list: Iterable[str] | None, owner: str = ""
    ) -> None:
        """Record a campaign. See `Campaigns.create`."""
        changes: dict[str, Any] = {"tenant": self._settings.tenant_name(options.tenant)}
        if guest_list is not None:
            changes["guests"] = self._guests(campaign_id, guest_list)
        options = options.model_copy(update=changes)
        # Compared when the call is repeated: the options themselves may have been changed meanwhile.
        asked = self._fingerprints.digest("options", campaign_id, _canonical(options)).hex()
        stored = self._store.create(campaign_id, self._fields(campaign_id, name, options, asked, owner))
        if stored is not None and stored.asked != asked:
            kept = read_options(stored.options)
            opened = open_auth_params(stored.auth_params, self._keyring, campaign_id)
            _refuse_other_options(options, kept.model_copy(update={"auth_params": opened}))

    def _fields(
        self, campaign_id: str, name: str, options: Options, asked: str, owner: str
    ) -> dict[str, str | int | float]:
        application = self._settings.applications().get(options.tenant or "")
        optional = {
            "application": application.stored if application else "",
            "owner": owner,
            "auth_params": seal_auth_params(options.auth_params, self._keyring, campaign_id),
        }
        return {
            "name": name,
            "options": options.stored(),
            "asked": asked,
            "max_attempts": self._settings.max_attempts,
            "in_flight_limit": 1,
            **options.for_scripts(),
            **{field: value for field, value in optional.items() if value},
        }

    def _guests(self, campaign_id: str, guest_list: Iterable[str]) -> frozenset[str]:
        guests = map(normalise_recipient, items_of_caller(guest_list))
        marks = frozenset(self._fingerprints.campaign(campaign_id, guest).hex() for guest in guests)
        if len(marks) > MOST_GUESTS:
            raise InvalidValue(f"a guest list has at most {MOST_GUESTS} guests")
        return marks


def _canonical(options: Options) -> str:
    document = options.model_dump(mode="json")
    return json.dumps({**document, "guests": document["guests"] and sorted(document["guests"])}, sort_keys=True)


def _refuse_other_options(asked: Options, kept: Options) -> None:
    # Stored options have been JSON, which gives some values a plainer form.
    asked = Options.model_validate_json(asked.model_dump_json())
    different = [name for name in Options.model_fields if getattr(asked, name) != getattr(kept, name)]
    if different:
        raise CampaignConflict(
            f"A campaign with this id exists, with other options: {', '.join(different)}. Nothing was changed. Give the same options, or another id."
        )
