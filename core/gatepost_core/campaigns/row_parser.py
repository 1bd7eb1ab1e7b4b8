"""Parses the cells of one row into a valid, normalised recipient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.address_text import has_full_width
from gatepost_core.campaigns.row import JSON_FIELDS, MESSAGE_FIELDS, RECIPIENT_FIELDS, Field, Row
from gatepost_core.campaigns.row_values import (
    BadValue,
    auth_params_of,
    email_of,
    message_value_of,
    phone_of,
    text_of,
)
from gatepost_core.identifiers import NO_RECIPIENT, is_address, is_no_recipient
from gatepost_core.kinds import Channel, Identifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepost_core.number_rules import NumberRules


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file.

    Attributes:
        width: the number of columns.
        places: the position of each field that has a column.
        parameters: name and position of the `authParams.NAME` columns.
        ignored: the other columns, by names without personal data.
        message_fields: the fields for the message that have a column, each with its position in a row.
    """

    width: int
    places: Mapping[Field, int]
    parameters: tuple[tuple[str, int], ...]
    ignored: tuple[str, ...]
    message_fields: tuple[tuple[int, Field], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Find the message's fields once for all rows."""
        there = {*self.places, *(JSON_FIELDS if self.parameters else ())}
        found = tuple((at, name) for at, name in enumerate(MESSAGE_FIELDS) if name in there)
        object.__setattr__(self, "message_fields", found)

    @property
    def has_recipient(self) -> bool:
        """Whether any column holds addresses or numbers."""
        return any(name in self.places for name in RECIPIENT_FIELDS)


class RowParser:
    """Turns the cells of one row into a recipient.

    Attributes:
        full_width: addresses so far whose full-width characters were read as the usual ones.
    """

    def __init__(self, channel: Channel, region: str | None, rules: NumberRules | None = None) -> None:
        self._by_email = channel.identifier is not Identifier.PHONE_NUMBER
        self._by_phone = channel.identifier is not Identifier.EMAIL
        self._email_channel = channel if channel.identifier is Identifier.EMAIL else Channel.EMAIL
        self._phone_channel = channel if channel.identifier is Identifier.PHONE_NUMBER else Channel.SMS
        self._missing = channel.identifier or Field.RECIPIENT
        self._region = region
        self._rules = rules
        self.full_width = 0

    def parse(self, layout: Layout, line: int, cells: Sequence[Any]) -> Row:
        """Return the recipient.

        Raises:
            BadValue: a field is invalid. It names the first one.
        """
        places = layout.places
        kind, recipient = self._recipient(places, cells)
        if layout.message_fields:
            row = Row(line, kind, recipient, *_message_values(layout, cells))
        else:
            row = Row(line, kind, recipient)
        _MARK(row, "_read", True)
        return row

    def _recipient(self, places: Mapping[Field, int], cells: Sequence[Any]) -> tuple[Channel, str]:
        if self._by_email and (text := _text(places, cells, Field.EMAIL)):
            return self._email_channel, (email_of if text.isascii() else self._email)(text, Field.EMAIL)
        if self._by_phone and (text := _text(places, cells, Field.PHONE_NUMBER)):
            return self._phone_channel, phone_of(text, Field.PHONE_NUMBER, self._region, self._rules)
        text = _text(places, cells, Field.RECIPIENT)
        if not text:
            raise BadValue(self._missing, "is missing")
        if self._by_email and (is_address(text) or not self._by_phone):
            return self._email_channel, (email_of if text.isascii() else self._email)(text, Field.RECIPIENT)
        if self._by_email and is_no_recipient(text):
            raise BadValue(Field.RECIPIENT, NO_RECIPIENT)
        return self._phone_channel, phone_of(text, Field.RECIPIENT, self._region, self._rules)

    def _email(self, text: str, field: Field) -> str:
        address = email_of(text, field)
        if has_full_width(text):
            self.full_width += 1
        return address


def _text(places: Mapping[Field, int], cells: Sequence[Any], field: Field) -> str:
    place = places.get(field)
    return "" if place is None else text_of(cells[place], field)


_NOTHING: Final[tuple[str | None, ...]] = (None,) * len(MESSAGE_FIELDS)
# The class is frozen.
_MARK: Final = object.__setattr__


def _message_values(layout: Layout, cells: Sequence[Any]) -> list[str | None]:
    values = list(_NOTHING)
    for at, name in layout.message_fields:
        if name in JSON_FIELDS:
            values[at] = _auth_params(layout, cells)
        elif text := text_of(cells[layout.places[name]], name):
            values[at] = message_value_of(text, name)
    return values


def _auth_params(layout: Layout, cells: Sequence[Any]) -> str | None:
    place = layout.places.get(Field.AUTH_PARAMS)
    if place is None and not layout.parameters:
        return None
    whole = None if place is None else cells[place]
    return auth_params_of(whole, [(name, text_of(cells[at], Field.AUTH_PARAMS)) for name, at in layout.parameters])
