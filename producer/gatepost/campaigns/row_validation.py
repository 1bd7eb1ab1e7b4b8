"""Checks and normalises rows that a program makes, like those of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.row import MESSAGE_FIELDS, ROW, Field, Row
from gatepost_core.campaigns.row_parser import Layout, RowParser
from gatepost_core.campaigns.row_values import BadValue, text_of
from gatepost_core.error_boundary import items_of_caller
from gatepost_core.errors import InvalidCommand
from gatepost_core.kinds import CHANNELS, Channel, Identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gatepost_core.number_rules import NumberRules

_FIELDS: Final = (Field.EMAIL, Field.PHONE_NUMBER, *MESSAGE_FIELDS)
_LAYOUT: Final = Layout(len(_FIELDS), {field: place for place, field in enumerate(_FIELDS)}, (), ())
_NAMES: Final = " or ".join(f"Channel.{channel.name}" for channel in CHANNELS)


def checked_rows(rows: Iterable[Row], rules: NumberRules | None = None) -> Iterator[Row]:
    """Yield the rows in their normal form. Rows from a file are not checked again.

    Args:
        rows: the rows.
        rules: the rules for phone numbers; by default, those for a message.

    Raises:
        InvalidCommand: a row is invalid. The message names its place, from 1, and the field, never the value.
    """
    parsers = {channel.value: RowParser(channel, None, rules) for channel in CHANNELS}
    for number, row in enumerate(items_of_caller(rows), 1):
        if type(row) is Row and row.is_read:
            yield row
            continue
        try:
            yield _checked(row, parsers)
        except BadValue as bad:
            raise InvalidCommand([(bad.field, f"{bad} (row {number} of those given)")]) from None


def _checked(row: Any, parsers: Mapping[str, RowParser]) -> Row:
    if not isinstance(row, Row):
        raise BadValue(ROW, "is not a Row; leave out the errors that a file's reader returns")
    kind: Any = row.kind
    if not isinstance(kind, str) or kind not in parsers:
        raise BadValue("kind", f"must be {_NAMES}")
    by_email = Channel(kind).identifier is Identifier.EMAIL
    recipient = (row.recipient, None) if by_email else (None, row.recipient)
    # A file of JSON may hold an object in a cell; a row of a program holds its text.
    own = [text_of(getattr(row, field), field) for field in MESSAGE_FIELDS]
    return parsers[kind].parse(_LAYOUT, row.line, [*recipient, *own])
