"""One recipient of a campaign, and the names of its fields."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from gatepost_core.kinds import Channel

ROW: Final = "row"
"""The `field` of an error that concerns the whole row."""


class Field(StrEnum):
    """The fields of a recipient. The value is the usual name of the column."""

    RECIPIENT = "recipient"
    EMAIL = "email"
    PHONE_NUMBER = "phone_number"
    LANGUAGE = "language"
    CLIENT_IP = "client_ip"
    AUTH_PARAMS = "auth_params"


RECIPIENT_FIELDS: Final = (Field.RECIPIENT, Field.EMAIL, Field.PHONE_NUMBER)


class _Marked:
    """A slot for the mark of rows from a file. It is not a field, so constructors do not set it and changed copies do not inherit it."""

    __slots__ = ("_read",)


@dataclass(frozen=True, slots=True, repr=False)
class Row(_Marked):
    """One valid recipient. A row that does not come from a file is checked when it is added to a campaign or a list.

    Attributes:
        line: the number of the row's first line in the file, from 1.
        kind: the channel: `Channel.EMAIL` or `Channel.SMS`, never `auto`.
        recipient: the normalised address, or the number in E.164, in clear.
        language: as `SendEmail.language`.
        client_ip: as `SendEmail.client_ip`.
        auth_params: as `SendEmail.auth_params`, but a JSON object as compact text with sorted keys.
    """

    line: int
    kind: Channel
    recipient: str
    language: str | None = None
    client_ip: str | None = None
    auth_params: str | None = None

    def message_fields(self) -> dict[str, Any]:
        """Return the row's fields for its message, as the fields of a command. Fields without a value are left out."""
        return {
            name: json.loads(value) if name in JSON_FIELDS else value
            for name, value in zip(_NAMES, _VALUES(self), strict=True)
            if value is not None
        }

    @property
    def is_plain(self) -> bool:
        """Whether the row has no fields for its message beside the recipient."""
        return all(value is None for value in _VALUES(self))

    def without_person(self) -> Self:
        """Return the row that replaces this one when the person is erased."""
        return type(self)(self.line, self.kind, "")

    @property
    def is_read(self) -> bool:
        """Whether the row comes from a file, so that it needs no further check."""
        return hasattr(self, "_read")

    @property
    def erased(self) -> bool:
        """Whether the person was erased. Only an empty row is left."""
        return not self.recipient

    def __repr__(self) -> str:
        return f"Row(line={self.line}, kind={self.kind.value!r}, recipient='**********')"


MESSAGE_FIELDS: Final = tuple(Field(field.name) for field in fields(Row) if field.default is None)
"""The fields for the message, in the order of the stored columns."""
# Plain texts: they are read for each row that is sent.
_NAMES: Final = tuple(field.value for field in MESSAGE_FIELDS)
_VALUES: Final = attrgetter(*_NAMES)
JSON_FIELDS: Final = frozenset({Field.AUTH_PARAMS})
"""The fields that hold a JSON object as text."""
