"""From the cells of one row to a checked, normalised recipient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.row import RECIPIENT_FIELDS, Field, Row
from gatepost_core.campaigns.row_values import (
    BadValue,
    auth_params_of,
    client_ip_of,
    email_of,
    language_of,
    phone_of,
    text_of,
)
from gatepost_core.kinds import Channel, Identifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each field stands in a row.

    Attributes:
        width: how many columns there are.
        places: the position of each field that is there.
        parameters: name and position of the `authParams.NAME` columns.
        ignored: the other columns, by names that are fit to be shown.
    """

    width: int
    places: Mapping[Field, int]
    parameters: tuple[tuple[str, int], ...]
    ignored: tuple[str, ...]

    @property
    def has_recipient(self) -> bool:
        """Whether any column holds addresses or numbers."""
        return any(field in self.places for field in RECIPIENT_FIELDS)


class RowParser:
    """Turns the cells of one row into a recipient."""

    def __init__(self, channel: Channel, region: str | None) -> None:
        self._by_email = channel.identifier is not Identifier.PHONE_NUMBER
        self._by_phone = channel.identifier is not Identifier.EMAIL
        self._email_channel = channel if channel.identifier is Identifier.EMAIL else Channel.EMAIL
        self._phone_channel = channel if channel.identifier is Identifier.PHONE_NUMBER else Channel.SMS
        self._missing = channel.identifier or Field.RECIPIENT
        self._region = region

    def parse(self, layout: Layout, line: int, cells: Sequence[Any]) -> Row:
        """Return the recipient.

        Raises:
            BadValue: names the first field that is wrong.
        """
        places = layout.places
        kind, recipient = self._recipient(places, cells)
        language = client_ip = auth_params = None
        if len(places) + len(layout.parameters) > 1:
            if text := _text(places, cells, Field.LANGUAGE):
                language = language_of(text)
            if text := _text(places, cells, Field.CLIENT_IP):
                client_ip = client_ip_of(text)
            auth_params = _auth_params(layout, cells)
        row = Row(line, kind, recipient, language, client_ip, auth_params)
        _MARK(row, "_read", True)
        return row

    def _recipient(self, places: Mapping[Field, int], cells: Sequence[Any]) -> tuple[Channel, str]:
        if self._by_email and (text := _text(places, cells, Field.EMAIL)):
            return self._email_channel, email_of(text, Field.EMAIL)
        if self._by_phone and (text := _text(places, cells, Field.PHONE_NUMBER)):
            return self._phone_channel, phone_of(text, Field.PHONE_NUMBER, self._region)
        text = _text(places, cells, Field.RECIPIENT)
        if not text:
            raise BadValue(self._missing, "is missing")
        if self._by_email and ("@" in text or not self._by_phone):
            return self._email_channel, email_of(text, Field.RECIPIENT)
        return self._phone_channel, phone_of(text, Field.RECIPIENT, self._region)


def _text(places: Mapping[Field, int], cells: Sequence[Any], field: Field) -> str:
    place = places.get(field)
    return "" if place is None else text_of(cells[place], field)


# Past the class's being frozen.
_MARK: Final = object.__setattr__


def _auth_params(layout: Layout, cells: Sequence[Any]) -> str | None:
    place = layout.places.get(Field.AUTH_PARAMS)
    if place is None and not layout.parameters:
        return None
    whole = None if place is None else cells[place]
    return auth_params_of(whole, [(name, text_of(cells[at], Field.AUTH_PARAMS)) for name, at in layout.parameters])
