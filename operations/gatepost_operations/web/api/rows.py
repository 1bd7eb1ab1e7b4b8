"""The rows of an uploaded file that an API key may add: valid, allowed, and within its limits."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from gatepost.campaigns.importing import in_chunks
from gatepost_core.campaigns.row import ROW, Row
from gatepost_core.kinds import CAMPAIGN_KINDS, Identifier
from gatepost_core.phone_numbers import plan_and_use
from gatepost_operations.files.rows import RowError
from gatepost_operations.web.api.problems import Problem, Type
from gatepost_operations.web.api.usage import check_recipient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatepost_operations.web.api.access import Caller

MOST_ROWS: Final = 1_000_000
"""Rows of one upload."""
_CHUNK: Final = 256
_MOST_PROBLEMS: Final = 20


class AllowedRows:
    """Gives the rows to add, and counts the others.

    Attributes:
        invalid: rows with an error, or that the key does not allow.
        problems: the first of them, without their values.
    """

    def __init__(self, caller: Caller, campaign_id: str, *, skip_invalid: bool) -> None:
        self._caller, self._campaign_id, self._skip_invalid = caller, campaign_id, skip_invalid
        self._grant = caller.key.grant
        self.invalid = 0
        self.problems: list[RowError] = []

    def of(self, rows: Iterable[Row | RowError]) -> Iterator[Row]:
        """Yield the allowed rows.

        Raises:
            Problem: a row is invalid and is not to be skipped, there are too many rows, or a limit of the key is reached.
        """
        for number, chunk in enumerate(in_chunks(self._valid(rows), _CHUNK)):
            if number * _CHUNK >= MOST_ROWS:
                raise Problem(
                    Type.TOO_LARGE, f"An upload has at most {MOST_ROWS:,} rows; send the rest as another part."
                )
            self._count(chunk)
            yield from chunk

    def _valid(self, rows: Iterable[Row | RowError]) -> Iterator[Row]:
        for item in rows:
            error = item if isinstance(item, RowError) else self._refusal(item)
            if error is None and isinstance(item, Row):
                yield item
            elif error is not None:
                self._note(error)

    def _refusal(self, row: Row) -> RowError | None:
        kind = CAMPAIGN_KINDS[row.kind]
        refusal = check_recipient(self._grant, kind, row.recipient)
        return refusal and RowError(row.line, str(kind.identifier), refusal)  # type: ignore[return-value] # None stays None

    def _note(self, error: RowError) -> None:
        if not self._skip_invalid:
            pointer = f"/{error.line}" if error.field == ROW else f"/{error.line}/{error.field}"
            raise Problem(
                Type.INVALID,
                "The line in the pointer is not valid. The rows before it are added; skip_invalid=true skips such rows.",
                errors=[{"pointer": pointer, "detail": error.problem}],
            )
        self.invalid += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(error)

    def _count(self, chunk: list[Row]) -> None:
        """Count the rows that the campaign does not have yet, so that a repeated part counts nothing."""
        if self._grant.per_hour is None and self._grant.per_country is None:
            return
        services = self._caller.services
        fingerprints = services.settings.fingerprints()
        marks = fingerprints.in_campaign(self._campaign_id, [row.recipient for row in chunk])
        known = services.campaigns.store.probe(self._campaign_id, marks)
        new = [row for row, is_known in zip(chunk, known, strict=True) if not is_known]
        regions = Counter(_region(row) for row in new)
        for region, number in regions.items():
            use = services.usage.of_rows(self._caller.key, region, number)
            standing, (refusal,) = services.usage.take(self._caller.key, [use])
            if refusal:
                raise standing.exceeded(refusal)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the problems as JSON values."""
        return [{"line": one.line, "field": one.field, "problem": one.problem} for one in self.problems]


def _region(row: Row) -> str | None:
    return plan_and_use(row.recipient)[0] if row.kind.identifier is Identifier.PHONE_NUMBER else None
