"""`gatepost campaign test`: send the message of some rows to the operator, before a campaign exists."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Final

import typer

from gatepost.handles import Handle
from gatepost.producer import Producer
from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.commands import COMMANDS, Command, build
from gatepost_core.errors import FieldError, InvalidCommand, NotFinished, said
from gatepost_core.kinds import CAMPAIGN_KINDS, Identifier
from gatepost_core.number_rules import number_rules
from gatepost_core.outcomes import Outcome
from gatepost_core.states import State
from gatepost_operations.cli.campaign.delivery_options import CampaignMessageOptions, DeliveryOptions
from gatepost_operations.cli.campaign.recipient_file import (
    FileArgument,
    FileOptions,
    RecipientFile,
    RowCounts,
    open_recipient_file,
)
from gatepost_operations.cli.connection import open_producer
from gatepost_operations.cli.exit_codes import ExitCode, exit_code_of_outcome
from gatepost_operations.cli.options import JsonOption, grouped
from gatepost_operations.cli.output import show
from gatepost_operations.planning.sample import first_rows, message_of

START_WORKER: Final = "gatepost worker --queues send"
_WAIT_S: Final = 60.0
_MOST_ROWS: Final = 10
# Rows that are searched for different messages.
_LOOKED_THROUGH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A row of a file, and the operator's own address that gets its message instead.

    Attributes:
        to: the number of the `--to` option, from 1.
        address: the operator's address or number, in clear.
        row: the row.
    """

    to: int
    address: str
    row: Row


@grouped
def send_test(
    file: FileArgument,
    *,
    to: Annotated[
        list[str],
        typer.Option("--to", metavar="ADDRESS", help="Your own address or phone number; repeatable."),
    ],
    rows: Annotated[
        int,
        typer.Option(
            "--rows",
            metavar="N",
            min=1,
            max=_MOST_ROWS,
            help="Number of messages for each address, each from another row.",
        ),
    ] = 1,
    reading: FileOptions,
    message: CampaignMessageOptions,
    as_json: JsonOption = False,
) -> ExitCode:
    """Send sample messages from a file to yourself.

    Sends the message of the file's first row to your own addresses and phone numbers. --rows 3 sends the messages of three rows, with
    different languages or authParams if possible.

    The messages are sent immediately. The people in the file get nothing, and nothing is stored about them. If an address gets several
    messages, only the last code works.
    """
    with open_recipient_file(file, reading) as recipients, open_producer() as producer:
        options = DeliveryOptions(**vars(message)).options(reading.channel)
        outcomes = send_samples(producer, recipients, options, reading, to, rows=rows)
    code = code_of(outcomes)
    documents = [sample_document(sample, outcome) for sample, outcome in outcomes]
    show({"messages": documents, "exit_code": int(code)}, *sample_lines(outcomes), as_json=as_json)
    return code


def send_samples(
    producer: Producer, file: RecipientFile, options: Options, reading: FileOptions, to: Sequence[str], *, rows: int = 1
) -> list[tuple[Sample, Outcome]]:
    """Send the messages of a file's first rows to the operator, and wait for the outcomes.

    Args:
        producer: sends them as single messages.
        file: the recipient file.
        options: the campaign's options.
        reading: the file's options; its rules for phone numbers apply to the operator's numbers.
        to: the operator's addresses and numbers.
        rows: the number of rows for each of them.

    Raises:
        InvalidCommand: an address is not valid, or the file has no row for its channel.
    """
    samples = list(_samples(file, to, rows))
    commands = [_command(sample, options, reading) for sample in samples]
    # One after the other: a newer code makes an older one void, so their order decides which one works.
    return [(sample, _outcome(producer.enqueue(command))) for sample, command in zip(samples, commands, strict=True)]


def _samples(file: RecipientFile, to: Sequence[str], rows: int) -> Iterator[Sample]:
    wanted = [Identifier.EMAIL if "@" in address else Identifier.PHONE_NUMBER for address in to]
    first = islice(file.rows(RowCounts(), f"reading {file.name}"), _LOOKED_THROUGH)
    chosen = first_rows(first, set(wanted), rows)
    for number, (address, identifier) in enumerate(zip(to, wanted, strict=True), 1):
        found = chosen[identifier]
        if not found:
            raise InvalidCommand([FieldError(file.name, f"has no valid row with {_NOUNS[identifier]}")])
        yield from (Sample(number, address, row) for row in found)


_NOUNS: Final = {Identifier.EMAIL: "an e-mail address", Identifier.PHONE_NUMBER: "a phone number"}


def _command(sample: Sample, options: Options, reading: FileOptions) -> Command:
    fields = {str(sample.row.kind.identifier): sample.address, **message_of(sample.row.kind, options, sample.row)}
    rules = number_rules(reading.numbers, allow_landlines=reading.allow_landlines)
    try:
        return build(COMMANDS[CAMPAIGN_KINDS[sample.row.kind]], fields, rules)
    except InvalidCommand as failure:
        raise InvalidCommand([FieldError(f"to {sample.to}", one.problem) for one in failure.problems]) from None


def _outcome(handle: Handle) -> Outcome:
    try:
        return handle.wait(_WAIT_S)
    except NotFinished:
        return handle.outcome()


def code_of(outcomes: Sequence[tuple[Sample, Outcome]]) -> ExitCode:
    """Return 0 if every message was accepted, otherwise the code of the first that was not."""
    codes = [
        exit_code_of_outcome(outcome) if outcome.state.is_terminal else ExitCode.UNEXPECTED for _, outcome in outcomes
    ]
    return next((code for code in codes if code is not ExitCode.DONE), ExitCode.DONE)


def sample_document(sample: Sample, outcome: Outcome) -> dict[str, Any]:
    """Return a message as JSON values, without addresses."""
    row = {"to": sample.to, "line": sample.row.line, "channel": sample.row.kind.value, "language": sample.row.language}
    return row | outcome.as_json()


def sample_lines(outcomes: Sequence[tuple[Sample, Outcome]]) -> Iterator[str]:
    """Give a line for each message, without addresses, and advice for those that were not accepted."""
    for sample, outcome in outcomes:
        language = f", {sample.row.language}" if sample.row.language else ""
        code = f" ({said(outcome.reason, outcome.detail)})" if outcome.reason and outcome.detail else ""
        yield f"to {sample.to}: the message of line {sample.row.line} ({sample.row.kind.label}{language}): {outcome.state}{code}"
    yield from dict.fromkeys(outcome.reason.advice for _, outcome in outcomes if outcome.reason is not None)
    if any(not outcome.state.is_terminal for _, outcome in outcomes):
        yield f"Not sent after {_WAIT_S:.0f} s. If no worker serves single messages, start one: {START_WORKER}"
    elif all(outcome.state is State.ACCEPTED for _, outcome in outcomes):
        yield "Accepted by Auth0. Look at the messages before you send the campaign."
