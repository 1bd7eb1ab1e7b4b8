"""Find the fields of a file's columns, by column name or by the caller's mapping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gatepost_core.campaigns.row import MESSAGE_FIELDS, Field
from gatepost_core.campaigns.row_parser import Layout
from gatepost_core.commands import IN_REQUEST
from gatepost_core.errors import InvalidValue
from gatepost_core.invisible_characters import without_invisible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_NAMES: Final[dict[str, Field]] = {
    "recipient": Field.RECIPIENT,
    "email": Field.EMAIL,
    "e_mail": Field.EMAIL,
    "mail": Field.EMAIL,
    "email_address": Field.EMAIL,
    "phone": Field.PHONE_NUMBER,
    "phone_number": Field.PHONE_NUMBER,
    "mobile": Field.PHONE_NUMBER,
    **{name: field for field in MESSAGE_FIELDS for name in (field.value, *(IN_REQUEST[field].columns or ()))},
}
_ONE_PARAMETER: Final = re.compile(r"(?:authParams|auth_params)\.(?P<name>.+)", re.IGNORECASE)
# Without a header row, a name is personal data. Messages repeat only names that cannot be personal data.
_SHOWABLE: Final = re.compile(r"(?!.*\d{4})[^\W\d][\w .-]{0,39}")


class ColumnsError(InvalidValue):
    """The columns are not clear. The message names columns, and never their values."""


def field_of(name: str) -> Field | None:
    """Return the field of a column with this name, or None if the name is unknown."""
    return _NAMES.get(without_invisible(name).casefold().replace(" ", "_").replace("-", "_"))


def known_mapping(mapping: Mapping[str, str]) -> dict[Field, str]:
    """Check a caller's mapping of fields to column names.

    Raises:
        ColumnsError: the mapping names an unknown field, or one field or column twice.
    """
    known: dict[Field, str] = {}
    for name, column in mapping.items():
        field = field_of(name)
        if field is None:
            raise ColumnsError(f"a column is given for an unknown field; the fields are {', '.join(Field)}")
        if field in known or column.strip() in known.values():
            raise ColumnsError(f"{field} is given two columns, or shares its column with another field")
        known[field] = column.strip()
    return known


def layout_of(names: Sequence[str], mapping: Mapping[Field, str], *, all_mapped: bool = True) -> Layout:
    """Find the fields in a file's column names.

    Args:
        names: the column names in their order.
        mapping: column names by field. A mapped field has no other column.
        all_mapped: whether every mapped column must exist.

    Returns:
        The layout. Columns that are not recognised are ignored.

    Raises:
        ColumnsError: a field has two columns, or a mapped column is missing.
    """
    by_column = {column: field for field, column in mapping.items()}
    places: dict[Field, int] = {}
    parameters: dict[str, int] = {}
    ignored: list[str] = []
    for place, name in enumerate(map(without_invisible, names)):
        field = by_column.get(name)
        if field is None and (known := field_of(name)) not in mapping:
            field = known
        parameter = _ONE_PARAMETER.fullmatch(name)
        if field is not None:
            if field in places:
                raise ColumnsError(f"{field} has two columns; say which one counts (--column {field}=NAME)")
            places[field] = place
        elif parameter is None:
            ignored.append(shown(name, place))
        elif parameters.setdefault(parameter["name"], place) != place:
            raise ColumnsError("authParams has two columns of the same name; leave one")
    missing = [field for field in mapping if field not in places] if all_mapped else []
    if missing:
        raise ColumnsError(f"there is no column of the name given for {', '.join(missing)}")
    return Layout(len(names), places, tuple(parameters.items()), tuple(ignored))


def shown(name: str, place: int) -> str:
    """Return the column's name, or its number if the name may be personal data."""
    name = name.strip()
    return name if _SHOWABLE.fullmatch(name) else f"column {place + 1}"
