"""Takes one person out of every campaign: the row stays and is counted, who it was is gone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from gatepost.campaigns.option_update import TooManyChanges, change_options
from gatepost_core.campaigns.batch import BATCH_ROWS, open_rows, seal_rows
from gatepost_core.campaigns.model import CampaignConflict, CampaignNotFound, Options
from gatepost_core.errors import SealError
from gatepost_core.redis.errors import answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.campaigns.report import Reports
    from gatepost_core.campaigns.store import CampaignStore
    from gatepost_core.sealing import Keyring
    from gatepost_core.sealing.fingerprints import Fingerprints

_PAGE: Final = 100
# A rotation may re-seal the batch between the read and the write, once or twice.
_TRIES: Final = 5


@dataclass(slots=True)
class ErasedRows:
    """What was found of a person in campaigns.

    Attributes:
        campaigns: the ids of those that had the person.
        rows: how many rows no longer know whose they were.
        suppressed: how many of them were open, and will not be sent to.
        in_flight: how many are under way and were left.
        unreadable: how many could not be opened, or were changed by others all the time, and were left.
        guest_lists: from how many guest lists the person was taken.
    """

    campaigns: list[str] = field(default_factory=list)
    rows: int = 0
    suppressed: int = 0
    in_flight: int = 0
    unreadable: int = 0
    guest_lists: int = 0


class CampaignErasure:
    """Takes people out of campaigns."""

    def __init__(self, store: CampaignStore, reports: Reports, keyring: Keyring, fingerprints: Fingerprints) -> None:
        self._store = store
        self._reports = reports
        self._keyring = keyring
        self._fingerprints = fingerprints

    def erase(self, recipient: str, *, dry_run: bool = False) -> ErasedRows:
        """Take one person out, or only look.

        Args:
            recipient: an address or number, normalised.
            dry_run: only look.

        Raises:
            Unavailable: Redis did not answer.
        """
        found = ErasedRows()
        for campaign_id in self._all_ids():
            fingerprint = self._fingerprints.campaign(campaign_id, recipient)
            try:
                self._in_guest_list(campaign_id, fingerprint, found, dry_run=dry_run)
                number = self._reports.number_of(campaign_id, fingerprint)
                if number is not None:
                    found.campaigns.append(campaign_id)
                    self._row(campaign_id, number, fingerprint, found, dry_run=dry_run)
            except CampaignNotFound:  # deleted meanwhile
                continue
        return found

    def _all_ids(self) -> Iterator[str]:
        start = 0
        while page := self._store.campaign_ids(start, _PAGE):
            yield from page
            start += len(page)

    def _in_guest_list(self, campaign_id: str, fingerprint: bytes, found: ErasedRows, *, dry_run: bool) -> None:
        def without(options: Options) -> Options | None:
            if options.guests is None or fingerprint.hex() not in options.guests:
                return None
            return options.model_copy(update={"guests": options.guests - {fingerprint.hex()}})

        if dry_run:
            options = Options.model_validate_json(self._store.record(campaign_id)["options"])
            found.guest_lists += without(options) is not None
            return
        try:
            found.guest_lists += change_options(self._store, campaign_id, without, {})
        except TooManyChanges:
            found.unreadable += 1
        except CampaignConflict:  # being deleted
            return

    def _row(self, campaign_id: str, number: int, fingerprint: bytes, found: ErasedRows, *, dry_run: bool) -> None:
        batch, row = divmod(number, BATCH_ROWS)
        for _ in range(_TRIES):
            with answering():
                sealed: Any = self._store.redis.hget(self._store.keys.batch(campaign_id, batch), "rows")
            if sealed is None:
                return
            try:
                rows = open_rows(sealed.decode(), self._keyring, campaign_id, batch)
            except SealError:
                found.unreadable += 1
                return
            if dry_run:
                found.rows += 1
                return
            nobody = replace(rows[row], recipient="", language=None, client_ip=None, auth_params=None)
            rows[row] = nobody
            after = seal_rows(rows, self._keyring, campaign_id, batch)
            match self._store.forget(
                campaign_id, batch, row, fingerprint=fingerprint, before=sealed.decode(), after=after
            ):
                case "changed":
                    continue
                case "in_flight":
                    found.in_flight += 1
                case "suppressed":
                    found.rows += 1
                    found.suppressed += 1
                case "forgotten":
                    found.rows += 1
            return
        found.unreadable += 1
