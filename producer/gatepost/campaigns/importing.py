"""Adds recipients to a campaign: each once, however often a file is read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from gatepost.campaigns.row_validation import checked_rows
from gatepost_core.campaigns.batch import BATCH_ROWS, rows_in, seal_rows
from gatepost_core.error_boundary import callback_of_caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gatepost_core.campaigns.row import Row
    from gatepost_core.campaigns.store import CampaignStore
    from gatepost_core.sealing import Keyring
    from gatepost_core.sealing.fingerprints import Fingerprints


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Added:
    """What became of the rows of an import."""

    added: int = 0
    duplicates: int = 0

    @property
    def seen(self) -> int:
        """How many rows were read."""
        return self.added + self.duplicates


class Import:
    """One run over a file. What it has added stays added, so a run that was interrupted is simply run again."""

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
            batches: how many batches it has; a number that is out of date costs a call.
            store: where campaigns are.
            keyring: seals the rows.
            fingerprints: tells recipients apart.
            on_progress: is called after every batch.
        """
        self._campaign_id = campaign_id
        self._batches = batches
        self._store = store
        self._keyring = keyring
        self._fingerprints = fingerprints
        self._on_progress = on_progress and callback_of_caller(on_progress)
        # What is to be added next, by fingerprint, so that a file's own duplicates meet here.
        self._pending: dict[bytes, Row] = {}
        self._added = 0
        self._duplicates = 0

    def run(self, rows: Iterable[Row]) -> Added:
        """Add the rows that the campaign does not have yet.

        Raises:
            CampaignNotFound: there is no such campaign.
            CampaignConflict: its status takes no recipients.
            Unavailable: Redis did not answer, or its memory is full; what was added stays.
            InvalidCommand: a row that no file's reader has made is not valid; what was added stays.
        """
        for chunk in in_chunks(checked_rows(rows), BATCH_ROWS):
            self._take(chunk)
            while len(self._pending) >= rows_in(self._batches):
                self._append()
            self._report()
        while self._pending:
            self._append()
        self._report()
        return self._so_far()

    def _take(self, chunk: list[Row]) -> None:
        marks = [self._fingerprints.campaign(self._campaign_id, row.recipient) for row in chunk]
        known = self._store.probe(self._campaign_id, marks)
        for mark, row, is_known in zip(marks, chunk, known, strict=True):
            if is_known or mark in self._pending:
                self._duplicates += 1
            else:
                self._pending[mark] = row

    def _append(self) -> None:
        marks = list(islice(self._pending, rows_in(self._batches)))
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
            self._on_progress(self._so_far())

    def _so_far(self) -> Added:
        return Added(self._added, self._duplicates)


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items; the last one may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
