"""The recipient file of a command: its options, its check, and its valid rows as a stream."""

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from gatepost_core.campaigns.row import Row
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.kinds import Channel
from gatepost_core.number_rules import Numbers
from gatepost_operations.cli.given_command import arguments_of
from gatepost_operations.cli.options import LandlinesOption, NumbersOption
from gatepost_operations.cli.terminal import Description, can_draw, console
from gatepost_operations.files import check
from gatepost_operations.files.check import CheckReport, check_file
from gatepost_operations.files.rows import FileFormat, RowReader, read_rows
from gatepost_operations.files.spool import copied, is_read_once
from gatepost_operations.files.text_reader import STANDARD_INPUT, FileError, stem_of

FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="CSV, JSON Lines or Excel (.xlsx), also compressed; - reads standard input.",
        show_default=False,
    ),
]
SkipInvalidOption = Annotated[
    bool,
    typer.Option("--skip-invalid", help="Skip invalid rows instead of refusing the file."),
]


@dataclass(frozen=True, kw_only=True)
class ListFileOptions:
    """The options for reading a file of people to whom nothing is sent, so that land lines need no option."""

    channel: Annotated[
        Channel,
        typer.Option(
            "--channel",
            help="Address to use in each row. auto: the phone number only if there is no e-mail address.",
        ),
    ] = Channel.AUTO
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="CODE", help="Country, such as GB, of phone numbers without a country code."),
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="FIELD=NAME",
            help="Column that contains a field, such as email=Kontakt; repeatable.",
        ),
    ] = None
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding", metavar="NAME", help="Text encoding [default: that of the byte order mark, or UTF-8]."
        ),
    ] = None
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", metavar="CHARACTER", help="CSV delimiter [default: detected].")
    ] = None

    sheet: Annotated[
        str | None, typer.Option("--sheet", metavar="NAME", help="Sheet of an Excel workbook [default: the first].")
    ] = None
    numbers: NumbersOption = Numbers.PLAN


@dataclass(frozen=True, kw_only=True)
class FileOptions(ListFileOptions):
    """The options for reading a file of recipients."""

    allow_landlines: LandlinesOption = False

    def as_keywords(self) -> dict[str, Any]:
        """Return the options of `read_rows`.

        Raises:
            InvalidCommand: a column is not given as FIELD=NAME.
        """
        pairs = [one.partition("=") for one in self.column or ()]
        if any(not (name and equals and column) for name, equals, column in pairs):
            raise InvalidCommand([FieldError("column", "must have the form FIELD=NAME, such as email=Kontakt")])
        return {
            "channel": self.channel,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "sheet": self.sheet,
            **self.number_keywords(),
            "columns": {name: column for name, _, column in pairs},
        }

    def number_keywords(self) -> dict[str, Any]:
        """Return the options of `read_rows` that decide how phone numbers are read."""
        return {"default_region": self.region, "numbers": self.numbers, "allow_landlines": self.allow_landlines}


@dataclass(slots=True)
class RowCounts:
    """The rows read from a file so far."""

    valid: int = 0
    invalid: int = 0


@dataclass(frozen=True)
class RecipientFile:
    """A file that can be read several times.

    Attributes:
        place: its path, or the open copy of standard input.
        name: its name for people.
        arguments: the arguments that name it and say how it is read.
        keywords: options of `read_rows`.
        checked: the digest of the file that was checked, once it was.
    """

    place: Path | BinaryIO
    name: str
    arguments: Sequence[str] = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    checked: list[str] = field(default_factory=list)

    def check(
        self, *, rejects: Path | None = None, replace_rejects: bool = False, keep_examples: int = check.EXAMPLES
    ) -> CheckReport:
        """Check the whole file, with a bar on a terminal.

        Raises:
            FileError: the file as a whole cannot be used.
        """
        with _bar(f"checking {self.name}") as move:
            report = check_file(
                self._source(),
                rejects=rejects,
                replace_rejects=replace_rejects,
                keep_examples=keep_examples,
                progress=lambda seen: move(seen.bytes_read, seen.bytes_total),
                **self.keywords,
            )
        if not report.rows:
            raise FileError(_NO_RECIPIENTS.format(self.name))
        self.checked[:] = [report.digest]
        return report

    def rows(self, counts: RowCounts, label: str) -> Iterator[Row]:
        """Give the valid rows, with a bar on a terminal, and count all.

        Raises:
            FileError: the file as a whole cannot be used.
        """
        self._require_unchanged()
        with self.reader() as reader, _bar(label) as move:
            for item in reader:
                if isinstance(item, Row):
                    counts.valid += 1
                    yield item
                else:
                    counts.invalid += 1
                if (counts.valid + counts.invalid) % _MOVE_EVERY == 0:
                    move(reader.bytes_read, reader.bytes_total)
        if not counts.valid + counts.invalid:
            raise FileError(_NO_RECIPIENTS.format(self.name))

    def digest(self) -> str | None:
        """Return the SHA-256 of the file as hexadecimal digits; None if it can be read only once, such as a pipe."""
        source = self._source()
        if isinstance(source, Path) and not source.is_file():
            return None
        with nullcontext(source) if not isinstance(source, Path) else source.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def _require_unchanged(self) -> None:
        """Refuse a file that is another one than the file that was checked."""
        if self.checked and isinstance(self.place, Path) and self.digest() != self.checked[0]:
            raise FileError(
                f"{self.name} has changed since it was checked, so nothing was added; run the command again"
            )

    def reader(self) -> RowReader:
        """Open the file at its beginning."""
        return read_rows(self._source(), **self.keywords)

    def _source(self) -> Path | BinaryIO:
        if not isinstance(self.place, Path):
            self.place.seek(0)
        return self.place


@contextmanager
def open_recipient_file(given: str, options: FileOptions) -> Iterator[RecipientFile]:
    """Give the file that an argument names. Standard input and pipes can be read only once, so their content is copied to a temporary file.

    Raises:
        FileError: there is no such file, or there is no room for the copy.
        InvalidCommand: an option is malformed.
    """
    keywords, arguments = options.as_keywords(), [given, *arguments_of(options)]
    if not is_read_once(given):
        yield RecipientFile(Path(given).expanduser(), Path(given).name, arguments, keywords)
        return
    with copied(given) as copy:
        yield RecipientFile(copy, "standard input" if given == STANDARD_INPUT else given, arguments, keywords)


def rejects_beside(file: RecipientFile, given: str) -> Path:
    """Return the default file for invalid rows: beside the given file; in the working directory for what has no place."""
    with file.reader() as reader:
        suffix = ".jsonl" if reader.format is FileFormat.JSON_LINES else ".csv"
    if is_read_once(given):
        return Path(f"rows.rejects{suffix}")
    return Path(given).expanduser().with_name(f"{stem_of(given)}.rejects{suffix}")


_MOVE_EVERY: Final = 2_000
_NO_RECIPIENTS: Final = "{} has no recipients: no row follows its header row"
_BLOCK: Final = 1 << 20


@contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int | None], None]]:
    if not can_draw(sys.stderr):
        yield lambda *_: None
        return
    columns = (Description(), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
