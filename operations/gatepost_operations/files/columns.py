"""Find the fields of a file's columns, by column name or by the caller's mapping."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from gatepost_core.campaigns.row import Field
from gatepost_core.campaigns.row_parser import Layout
from gatepost_core.errors import InvalidValue
from gatepost_core.invisible_characters import without_invisible
from gatepost_core.nearest import did_you_mean
from gatepost_operations.files.column_names import ERROR_COLUMNS, field_of, is_of_mobiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ONE_PARAMETER: Final = re.compile(r"(?:authParams|auth_params)\.(?P<name>.+)", re.IGNORECASE)
_MOST_LISTED: Final = 20
_PLACE: Final = re.compile(r"#([1-9][0-9]{0,4})")
# Without a header row, a name is personal data. Messages repeat only names that cannot be personal data.
_SHOWABLE: Final = re.compile(r"(?!.*\d{4})[^\W\d][\w .-]{0,39}")


class ColumnsError(InvalidValue):
    """The columns are not clear. The message names columns, and never their values."""


def known_mapping(mapping: Mapping[str, str]) -> dict[Field, str]:
    """Check a caller's mapping of fields to column names.

    Raises:
        ColumnsError: the mapping names an unknown field, or one field or column twice.
    """
    known: dict[Field, str] = {}
    for name, column in mapping.items():
        field = field_of(name)
        if field is None:
            fields = ", ".join(Field)
            hint = did_you_mean(name, Field)
            raise ColumnsError(f"a column is given for an unknown field; the fields are {fields}{hint and f'.{hint}'}")
        if field in known or column.strip() in known.values():
            raise ColumnsError(f"{field} is given two columns, or shares its column with another field")
        known[field] = without_invisible(column)
    return known


def layout_of(names: Sequence[str], mapping: Mapping[Field, str], *, all_mapped: bool = True) -> Layout:
    """Find the fields in a file's column names.

    Args:
        names: the column names in their order.
        mapping: column names by field; `#2` is the second column. A mapped field has no other column.
        all_mapped: whether every mapped column must exist.

    Returns:
        The layout. Columns that are not recognised are ignored. Beside a column of mobile numbers, other columns of phone numbers are too.

    Raises:
        ColumnsError: a field has two columns, or a mapped column is missing.
    """
    names = [without_invisible(name) for name in names]
    found = _places_by_field(names, mapping)
    places: dict[Field, int] = {}
    for field, candidates in found.items():
        kept = candidates
        if field is Field.PHONE_NUMBER and field not in mapping:
            kept = [place for place in candidates if is_of_mobiles(names[place])] or candidates
        if len(kept) > 1:
            raise ColumnsError(_two_columns(field, kept, names))
        places[field] = kept[0]
    missing = [field for field in mapping if field not in places] if all_mapped else []
    if missing:
        raise ColumnsError(f"no column has the name given for {', '.join(missing)}")
    parameters = _parameters(names, set(places.values()))
    taken = {*places.values(), *parameters.values()}
    ignored = tuple(
        shown(name, place) for place, name in enumerate(names) if place not in taken and name not in ERROR_COLUMNS
    )
    return Layout(len(names), places, tuple(parameters.items()), ignored)


def shown(name: str, place: int) -> str:
    """Return the column's name, or its number if the name may be personal data."""
    name = without_invisible(name)
    return name if _SHOWABLE.fullmatch(name) else f"column {place + 1}"


def listed(names: Sequence[str]) -> tuple[str, ...]:
    """Return the first names, and how many more there are."""
    if len(names) <= _MOST_LISTED + 1:
        return tuple(names)
    return (*names[:_MOST_LISTED], f"{len(names) - _MOST_LISTED:,} more")


def _places_by_field(names: Sequence[str], mapping: Mapping[Field, str]) -> dict[Field, list[int]]:
    # In a reject file, the positions are those of the checked file.
    own = [place for place, name in enumerate(names) if name not in ERROR_COLUMNS]
    by_column: dict[str | int, Field] = {}
    for field, column in mapping.items():
        number = _PLACE.fullmatch(column)
        if number and column not in names:
            by_column[own[int(number[1]) - 1] if int(number[1]) <= len(own) else -1] = field
        else:
            by_column[column] = field
    found: dict[Field, list[int]] = {}
    for place, name in enumerate(names):
        field_here = by_column.get(place, by_column.get(name))
        if field_here is None and (known := field_of(name)) not in mapping:
            field_here = known
        if field_here is not None:
            found.setdefault(field_here, []).append(place)
    return found


def _parameters(names: Sequence[str], taken: set[int]) -> dict[str, int]:
    parameters: dict[str, int] = {}
    for place, name in enumerate(names):
        parameter = _ONE_PARAMETER.fullmatch(name) if place not in taken else None
        if parameter and parameters.setdefault(parameter["name"], place) != place:
            raise ColumnsError("authParams has two columns of the same name; remove one")
    return parameters


def _two_columns(field: Field, places: Sequence[int], names: Sequence[str]) -> str:
    first, second = places[:2]
    one, other = (f"{shown(names[place], place)} (#{place + 1})" for place in (first, second))
    name = names[first]
    # A name fits every row of JSON Lines, where the keys of each object can have another order.
    by_name = shown(name, first) == name and names.count(name) == 1
    column = shlex.quote(f"{field}={name}") if by_name else f"{field}=#{first + 1}"
    return f"{field} has two columns, {one} and {other}; choose one (--column {column})"
