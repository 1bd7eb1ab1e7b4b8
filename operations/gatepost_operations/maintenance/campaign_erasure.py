"""Erase one person from every campaign. The row and its state stay, so that the counts still add up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from gatepost.campaigns.option_update import change_options
from gatepost_core.campaigns.batch import BATCH_ROWS, open_rows, seal_rows
from gatepost_core.campaigns.model import Options, read_options
from gatepost_core.errors import CampaignConflict, CampaignNotFound, SealError, TooManyChanges
from gatepost_core.redis.errors import translated_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_core.campaigns.store import CampaignStore
    from gatepost_core.sealing import Keyring
    from gatepost_core.sealing.fingerprints import Fingerprints

_PAGE: Final = 100
# A key rotation can re-seal the batch between the read and the write.
_TRIES: Final = 5


@dataclass(slots=True)
class ErasureResult:
    """The counts of an erasure, or of a dry run.

    Attributes:
        operations: single sends and logins of the person whose data was erased.
        cancelled: those of them that were open, and are now cancelled.
        results: unredeemed token sets that were deleted.
        rows: campaign rows whose personal data was erased.
        suppressed: those of them that were open, and are now suppressed.
        campaigns: campaigns with a row of the person.
        guest_lists: guest lists from which the person's fingerprint was removed.
        dead_letters: dropped dead letters that mentioned the person.
        exports: recorded exports of these campaigns. Gatepost cannot reach the exported files.
        in_flight: attempts in flight, which were left. Run the erasure again later.
        unreadable: batches and dead letters that were left, because the ring has no key for them, they cannot be searched, or they kept
            changing.
    """

    operations: int = 0
    cancelled: int = 0
    results: int = 0
    rows: int = 0
    suppressed: int = 0
    campaigns: int = 0
    guest_lists: int = 0
    dead_letters: int = 0
    exports: int = 0
    in_flight: int = 0
    unreadable: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing was left."""
        return not self.in_flight and not self.unreadable

    def as_json(self) -> dict[str, int]:
        """Return it as JSON values."""
        return asdict(self)


class CampaignErasure:
    """Erases people from campaigns."""

    def __init__(self, store: CampaignStore, keyring: Keyring, fingerprints: Fingerprints) -> None:
        self._store = store
        self._keyring = keyring
        self._fingerprints = fingerprints

    def erase(self, recipient: str, found: ErasureResult, *, dry_run: bool = False) -> set[str]:
        """Erase one person from every campaign.

        Args:
            recipient: a normalised address or number.
            found: the result to which the counts are added.
            dry_run: only count.

        Returns:
            The ids of the campaigns that had the person.

        Raises:
            Unavailable: Redis did not answer.
        """
        campaigns = set()
        for campaign_id in self._all_ids():
            fingerprint = self._fingerprints.campaign(campaign_id, recipient)
            try:
                self._in_guest_list(campaign_id, fingerprint, found, dry_run=dry_run)
                number = self._store.number_of(campaign_id, fingerprint)
                if number is not None:
                    campaigns.add(campaign_id)
                    self._row(campaign_id, number, fingerprint, found, dry_run=dry_run)
            except CampaignNotFound:  # deleted in the meantime
                continue
        found.campaigns += len(campaigns)
        return campaigns

    def _all_ids(self) -> Iterator[str]:
        start = 0
        while page := self._store.campaign_ids(start, _PAGE):
            yield from page
            start += len(page)

    def _in_guest_list(self, campaign_id: str, fingerprint: bytes, found: ErasureResult, *, dry_run: bool) -> None:
        def without(options: Options) -> Options | None:
            if options.guests is None or fingerprint.hex() not in options.guests:
                return None
            return options.model_copy(update={"guests": options.guests - {fingerprint.hex()}})

        if dry_run:
            options = read_options(self._store.record(campaign_id)["options"])
            found.guest_lists += without(options) is not None
            return
        try:
            found.guest_lists += change_options(self._store, campaign_id, without)
        except TooManyChanges:
            found.unreadable += 1
        except CampaignConflict:  # being deleted
            return

    def _row(self, campaign_id: str, number: int, fingerprint: bytes, found: ErasureResult, *, dry_run: bool) -> None:
        batch, row = divmod(number, BATCH_ROWS)
        for _ in range(_TRIES):
            with translated_errors():
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
            rows[row] = rows[row].without_person()
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
