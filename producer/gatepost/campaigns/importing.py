"""Adds recipients to a campaign, each once, even if a file is read several times."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from gatepost.campaigns.row_validation import checked_rows
from gatepost.chunks import UntilError, in_chunks
from gatepost_core.campaigns.batch import BATCH_ROWS, seal_rows
from gatepost_core.error_boundary import callback_of_caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gatepost_core.campaigns.row import Row
    from gatepost_core.campaigns.store import CampaignStore
    from gatepost_core.number_rules import NumberRules
    from gatepost_core.sealing import Keyring
    from gatepost_core.sealing.fingerprints import Fingerprints


@dataclass(frozen=True, slots=True)
class Added:
    """The result of an import."""

    added: int = 0
    duplicates: int = 0

    @property
    def seen(self) -> int:
        """The number of rows read."""
        return self.added + self.duplicates


class Import:
    """One run over a file. Added rows stay, so an interrupted run can be repeated."""

    def __init__(
        self,
        campaign_id: str,
        batches: int,
        *,
        store: CampaignStore,
        keyring: Keyring,
        fingerprints: Fingerprints,
        on_progress: Callable[[Added], None] | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            campaign_id: the campaign.
            batches: the number of its batches. An outdated number costs one more call.
            store: the campaigns.
            keyring: seals the rows.
            fingerprints: identifies recipients.
            on_progress: called after every batch.
        """
        self._campaign_id = campaign_id
        self._batches = batches
        self._store = store
        self._keyring = keyring
        self._fingerprints = fingerprints
        self._on_progress = on_progress and callback_of_caller(on_progress)
        # The rows to add next, by fingerprint, to find duplicates within the file.
        self._pending: dict[bytes, Row] = {}
        self._added = 0
        self._duplicates = 0

    def run(self, rows: Iterable[Row], rules: NumberRules | None = None) -> Added:
        """Add the rows that the campaign does not have. If the rows end with an error, those before it are added first.

        Args:
            rows: the rows.
            rules: the rules for the phone numbers of rows that do not come from a file.

        Raises:
            CampaignNotFound: the campaign does not exist.
            CampaignConflict: the campaign's status does not allow new recipients.
            Unavailable: Redis did not answer, or its memory is full. The batches added so far stay.
            InvalidCommand: a row of the caller's own is invalid. The message has the number of the row, and of the rows before it.
        """
        valid = UntilError(checked_rows(rows, rules))
        for chunk in in_chunks(valid, BATCH_ROWS):
            self._take(chunk)
            while len(self._pending) >= BATCH_ROWS:
                self._append()
            self._report()
        while self._pending:
            self._append()
        self._report()
        valid.raise_error(
            f"the rows before it are in the campaign: {self._added:,} added, {self._duplicates:,} duplicates"
        )
        return self.so_far

    def _take(self, chunk: list[Row]) -> None:
        marks = [self._fingerprints.campaign(self._campaign_id, row.recipient) for row in chunk]
        known = self._store.probe(self._campaign_id, marks)
        for mark, row, is_known in zip(marks, chunk, known, strict=True):
            if is_known or mark in self._pending:
                self._duplicates += 1
            else:
                self._pending[mark] = row

    def _append(self) -> None:
        marks = list(islice(self._pending, BATCH_ROWS))
        rows = [self._pending[mark] for mark in marks]
        sealed = seal_rows(rows, self._keyring, self._campaign_id, self._batches)
        match self._store.append(self._campaign_id, self._batches, sealed, marks):
            case "added":
                self._added += len(marks)
                for mark in marks:
                    del self._pending[mark]
                self._batches += 1
            case "known":
                self._drop_known(marks)
            case _:
                self._batches = int(self._store.record(self._campaign_id)["batches"])

    def _drop_known(self, marks: list[bytes]) -> None:
        for mark, is_known in zip(marks, self._store.probe(self._campaign_id, marks), strict=True):
            if is_known:
                del self._pending[mark]
                self._duplicates += 1

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.so_far)

    @property
    def so_far(self) -> Added:
        """The rows that were added or known until now."""
        return Added(self._added, self._duplicates)
