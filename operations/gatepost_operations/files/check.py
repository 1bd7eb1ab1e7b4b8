"""Check a whole recipient file before any message is sent, and report its contents and errors."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.row import Row
from gatepost_core.error_boundary import boundary, callback_of_caller
from gatepost_core.kinds import Channel, Identifier
from gatepost_core.number_rules import Numbers
from gatepost_core.phone_numbers import NO_SMS, NOT_IN_PLAN, plan_and_use
from gatepost_core.phone_plans import Use
from gatepost_operations.files.duplicates import DuplicateFinder
from gatepost_operations.files.rejects import reject_file
from gatepost_operations.files.rows import RowError, RowReader, read_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from gatepost_operations.files.formats import FileFormat
    from gatepost_operations.files.rows import Source

FIRST_ERRORS: Final = 20
"""The default number of errors in a report."""
EXAMPLES: Final = 3
"""The default number of lines for each kind of error."""

_PROGRESS_EVERY: Final = 2_000
_TOP_DOMAINS: Final = 10
OTHER_PROBLEMS: Final = "has one of many other problems; see the reject file"
# A problem can name a character, a position or countries.
_MOST_KINDS: Final = 500
# Above this number, new domains are counted together.
_MOST_DOMAINS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a check.

    Attributes:
        rows: rows read.
        bytes_read: bytes read from the stored file, which may be compressed.
        bytes_total: the size of the stored file; None if it is unknown.
    """

    rows: int
    bytes_read: int
    bytes_total: int | None


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of error, the number of rows with it, and the first lines of these rows."""

    field: str
    problem: str
    rows: int
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The contents and errors of a file. It names columns, domains and countries, and no person.

    Attributes:
        name: the file's name.
        format: the file's format.
        digest: the SHA-256 of the stored file, in hexadecimal digits.
        encoding: the file's encoding.
        delimiter: the delimiter of a CSV file.
        columns: the column of each field that was found, by the field's name.
        ignored_columns: the first columns that were not recognised.
        rows: rows that are not blank, valid and invalid.
        valid: rows without an error.
        invalid: rows with an error. Each counts once, with its first error.
        duplicates: valid rows that repeat a normalised recipient (`DuplicateFinder` gives the probability of an error).
        kinds: valid rows by `email` and `sms`.
        regions: valid rows with a phone number, by ISO 3166-1 code; `001` for numbers of no country.
        cannot_receive_sms: rows with a land line, or a toll-free or premium number. They are invalid, unless such numbers are accepted.
        valid_by_length: invalid rows with a number in no plan, which `--numbers length` accepts.
        full_width: valid rows with an address whose full-width characters were read as the usual ones.
        languages: valid rows with a language, by tag, the most frequent first.
        domains: valid rows with an address, by domain, for the ten most frequent domains.
        other_domains: valid rows with an address in any other domain.
        problems: the kinds of errors, the most frequent first.
        first_errors: the first errors, in the file's order.
        ignored_count: the number of columns that were not recognised.
    """

    name: str
    format: FileFormat
    digest: str
    encoding: str
    delimiter: str | None
    columns: Mapping[str, str]
    ignored_columns: tuple[str, ...]
    rows: int
    valid: int
    invalid: int
    duplicates: int
    kinds: Mapping[str, int]
    regions: Mapping[str, int]
    cannot_receive_sms: int
    valid_by_length: int
    full_width: int
    languages: Mapping[str, int]
    domains: Mapping[str, int]
    other_domains: int
    problems: tuple[Problem, ...]
    first_errors: tuple[RowError, ...]
    ignored_count: int = 0

    @property
    def recipients(self) -> int:
        """The number of different recipients in the valid rows."""
        return self.valid - self.duplicates

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, without the file's name. They contain no recipient."""
        document = asdict(self) | {"recipients": self.recipients}
        del document["name"]
        return document


@boundary
def check_file(
    source: Source,
    *,
    channel: Channel = Channel.AUTO,
    default_region: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    columns: Mapping[str, str] | None = None,
    numbers: Numbers = Numbers.PLAN,
    allow_landlines: bool = False,
    sheet: str | None = None,
    rejects: str | os.PathLike[str] | None = None,
    replace_rejects: bool = False,
    keep_errors: int = FIRST_ERRORS,
    keep_examples: int = EXAMPLES,
    progress: Callable[[Progress], None] | None = None,
) -> CheckReport:
    """Read the whole file. Memory use grows with the number of recipients; see `DuplicateFinder`.

    Args:
        source: see `read_rows`, also for the options up to `sheet`.
        channel: the channel of the rows.
        default_region: the region of phone numbers without a country code.
        encoding: the file's encoding.
        delimiter: the CSV delimiter.
        columns: column names by field.
        numbers: the rule for phone numbers.
        allow_landlines: accept numbers that cannot receive SMS.
        sheet: the sheet of a workbook.
        rejects: the file for invalid rows and their errors. `.csv` gives CSV, any other name JSON Lines. Without such rows no file is written.
        replace_rejects: replace an existing file for invalid rows.
        keep_errors: the number of errors in the report.
        keep_examples: the number of lines that each kind of error names.
        progress: called every 2,000 rows and at the end.

    Returns:
        The report.

    Raises:
        FileError: the file cannot be used, or the reject file cannot be written.
    """
    reader = read_rows(
        source,
        channel=channel,
        default_region=default_region,
        encoding=encoding,
        delimiter=delimiter,
        columns=columns,
        numbers=numbers,
        allow_landlines=allow_landlines,
        sheet=sheet,
    )
    tally = _Tally(keep_errors, keep_examples)
    progress = progress and callback_of_caller(progress)
    with ExitStack() as stack:
        stack.enter_context(reader)
        rejected = None
        if rejects is not None:
            rejected = stack.enter_context(reject_file(Path(rejects), reader, source, replace=replace_rejects))
        for item in reader:
            if isinstance(item, Row):
                tally.count(item)
            else:
                tally.count_error(item)
                if rejected:
                    rejected(item, reader.original)
            if progress and tally.rows % _PROGRESS_EVERY == 0:
                progress(Progress(tally.rows, reader.bytes_read, reader.bytes_total))
    if progress:
        progress(Progress(tally.rows, reader.bytes_read, reader.bytes_total))
    return tally.report(reader)


class _Tally:
    """The counts of a check while it runs."""

    def __init__(self, keep_errors: int, keep_examples: int) -> None:
        self.rows = 0
        self._keep_errors = keep_errors
        self._keep_examples = keep_examples
        self._duplicates = 0
        self._kinds: Counter[str] = Counter()
        self._regions: Counter[str] = Counter()
        self._voice_only = 0
        self._languages: Counter[str | None] = Counter()
        self._domains: Counter[str] = Counter()
        self._further_domains = 0
        self._problems: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], list[int]] = {}
        self._first_errors: list[RowError] = []
        self._seen = DuplicateFinder()

    def count(self, row: Row) -> None:
        self.rows += 1
        self._kinds[row.kind] += 1
        self._languages[row.language] += 1
        if not self._seen.add(row.recipient):
            self._duplicates += 1
        if row.kind.identifier is Identifier.PHONE_NUMBER:
            region, use = plan_and_use(row.recipient)
            self._regions[region] += 1
            self._voice_only += use is Use.VOICE
            return
        domain = row.recipient.rpartition("@")[2]
        if domain in self._domains or len(self._domains) < _MOST_DOMAINS:
            self._domains[domain] += 1
        else:
            self._further_domains += 1

    def count_error(self, error: RowError) -> None:
        self.rows += 1
        kind = (error.field, error.problem)
        if kind not in self._problems and len(self._problems) >= _MOST_KINDS:
            kind = (error.field, OTHER_PROBLEMS)
        self._problems[kind] += 1
        if self._problems[kind] <= self._keep_examples:
            self._examples.setdefault(kind, []).append(error.line)
        if len(self._first_errors) < self._keep_errors:
            self._first_errors.append(error)

    def _rows_with(self, problem: str) -> int:
        return sum(rows for (_, text), rows in self._problems.items() if text == problem)

    def report(self, reader: RowReader) -> CheckReport:
        valid = self._kinds.total()
        top = dict(self._domains.most_common(_TOP_DOMAINS))
        return CheckReport(
            name=reader.name,
            format=reader.format,
            digest=reader.digest,
            encoding=reader.encoding,
            delimiter=reader.delimiter,
            columns=reader.taken_columns,
            ignored_columns=reader.ignored_columns,
            rows=self.rows,
            valid=valid,
            invalid=self.rows - valid,
            duplicates=self._duplicates,
            kinds=dict(self._kinds),
            regions=dict(self._regions.most_common()),
            cannot_receive_sms=self._voice_only + self._rows_with(NO_SMS),
            valid_by_length=self._rows_with(NOT_IN_PLAN),
            full_width=reader.full_width,
            languages={tag: rows for tag, rows in self._languages.most_common() if tag is not None},
            domains=top,
            other_domains=self._domains.total() - sum(top.values()) + self._further_domains,
            problems=tuple(
                Problem(*kind, rows, tuple(self._examples.get(kind, ()))) for kind, rows in self._problems.most_common()
            ),
            first_errors=tuple(self._first_errors),
            ignored_count=reader.ignored_count,
        )
