"""Which column of a file means what, found by its name or by the caller's mapping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gatepost_core.campaigns.row import Field
from gatepost_core.campaigns.row_parser import Layout
from gatepost_core.errors import InvalidValue

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
    "language": Field.LANGUAGE,
    "lang": Field.LANGUAGE,
    "locale": Field.LANGUAGE,
    "ip": Field.CLIENT_IP,
    "client_ip": Field.CLIENT_IP,
    "forwarded_for": Field.CLIENT_IP,
    "auth_params": Field.AUTH_PARAMS,
    "authparams": Field.AUTH_PARAMS,
}
_ONE_PARAMETER: Final = re.compile(r"(?:authParams|auth_params)\.(?P<name>.+)", re.IGNORECASE)
# Without a header row, a name is somebody's data: only what can hardly be is ever repeated.
_SHOWABLE: Final = re.compile(r"(?!.*\d{4})[^\W\d][\w .-]{0,39}")


class ColumnsError(InvalidValue):
    """The columns cannot be understood; the message names columns, never what is in them."""


def field_of(name: str) -> Field | None:
    """Return the field that a column of this name holds, if it is one of ours."""
    return _NAMES.get(name.strip().casefold().replace(" ", "_").replace("-", "_"))


def known_mapping(mapping: Mapping[str, str]) -> dict[Field, str]:
    """Check a caller's mapping of field to column name.

    Raises:
        ColumnsError: it names an unknown field, or one field or column twice.
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
    """Find the fields among a file's column names.

    Args:
        names: the columns in their order.
        mapping: field to column name, for names that are not known by themselves. A mapped field is found nowhere else.
        all_mapped: whether every mapped column has to be there.

    Returns:
        The layout; a column that is not recognised is ignored.

    Raises:
        ColumnsError: a field is given twice, or a mapped column is missing.
    """
    by_column = {column: field for field, column in mapping.items()}
    places: dict[Field, int] = {}
    parameters: dict[str, int] = {}
    ignored: list[str] = []
    for place, name in enumerate(map(str.strip, names)):
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
    """Return the column's name, or its number where the name may be a person's data."""
    name = name.strip()
    return name if _SHOWABLE.fullmatch(name) else f"column {place + 1}"
