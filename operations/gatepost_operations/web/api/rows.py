"""The rows of an uploaded file that an API key may add: valid, allowed, and within its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gatepost.chunks import in_chunks
from gatepost_core.campaigns.row import ROW, Row
from gatepost_core.kinds import CAMPAIGN_KINDS
from gatepost_operations.files.rows import RowError
from gatepost_operations.files.text_reader import FileError
from gatepost_operations.web.api.problems import Problem, Type, problem_of
from gatepost_operations.web.api.usage import RECIPIENT, check_recipient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatepost_operations.web.api.access import Caller

MOST_ROWS: Final = 1_000_000
"""Rows of one upload."""
_CHUNK: Final = 256
_MOST_PROBLEMS: Final = 20
_MOST_COUNTED: Final = 4096
_FULL: Final = "is at its limit of messages an hour; send the row again later"


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
        self._stopped: Problem | None = None
        # The last rows that were counted: the campaign may not have them yet.
        self._counted: set[bytes] = set()

    def of(self, rows: Iterable[Row | RowError]) -> Iterator[Row]:
        """Yield the allowed rows up to the first problem. `require_all` raises it later, when these rows are added."""
        for number, chunk in enumerate(in_chunks(self._valid(rows), _CHUNK)):
            if number * _CHUNK >= MOST_ROWS:
                self._stopped = Problem(
                    Type.TOO_LARGE, f"An upload has at most {MOST_ROWS:,} rows; send the rest as another part."
                )
                return
            allowed, refusal = self._within_limits(chunk)
            yield from allowed
            if refusal is not None:
                self._stopped = refusal
                return

    def require_all(self) -> None:
        """Check that no problem has ended the rows.

        Raises:
            Problem: a row is invalid and is not to be skipped, there are too many rows, or a limit of the key is reached.
        """
        if self._stopped is not None:
            raise self._stopped

    def _valid(self, rows: Iterable[Row | RowError]) -> Iterator[Row]:
        try:
            for item in rows:
                error = item if isinstance(item, RowError) else self._refusal(item)
                if error is None and isinstance(item, Row):
                    yield item
                elif error is not None:
                    self._note(error)
        except (Problem, FileError) as failure:
            self._stopped = problem_of(failure)

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

    def _within_limits(self, chunk: list[Row]) -> tuple[list[Row], Problem | None]:
        """Count the rows that the campaign does not have yet, so that a repeated part counts nothing. Return those before a refusal."""
        grant, services = self._grant, self._caller.services
        if grant.per_hour is None and grant.per_country is None and grant.per_recipient is None:
            return chunk, None
        fingerprints = services.settings.fingerprints()
        marks = fingerprints.in_campaign(self._campaign_id, [row.recipient for row in chunk])
        known = services.campaigns.store.probe(self._campaign_id, marks)
        new = {
            mark: row
            for mark, row, is_known in zip(marks, chunk, known, strict=True)
            if not is_known and mark not in self._counted
        }
        key = self._caller.key
        uses = [services.usage.of_row(key, CAMPAIGN_KINDS[row.kind], row.recipient) for row in new.values()]
        standing, refusals = services.usage.take(key, uses, until_refused=not self._skip_invalid)
        refused = {mark: policy for mark, policy in zip(new, refusals, strict=True) if policy}
        if len(self._counted) > _MOST_COUNTED:
            self._counted.clear()
        self._counted |= new.keys() - refused.keys()
        allowed: list[Row] = []
        for mark, row in zip(marks, chunk, strict=True):
            policy = refused.get(mark)
            if policy is None:
                allowed.append(row)
            elif policy == RECIPIENT and self._skip_invalid:
                self._note(RowError(row.line, str(CAMPAIGN_KINDS[row.kind].identifier), _FULL))
            else:
                return allowed, standing.exceeded(policy)
        return allowed, None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the problems as JSON values."""
        return [{"line": one.line, "field": one.field, "problem": one.problem} for one in self.problems]
