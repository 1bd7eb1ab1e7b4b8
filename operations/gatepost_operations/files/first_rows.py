"""Judge a file by the values of its first rows: columns that were not chosen, and numbers without a country code."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.row import RECIPIENT_FIELDS, Field
from gatepost_core.errors import InvalidValue
from gatepost_core.kinds import Channel, Identifier
from gatepost_core.number_rules import NumberRules
from gatepost_core.phone_numbers import is_only_national, read_phone
from gatepost_operations.files.column_names import ERROR_COLUMNS, field_of
from gatepost_operations.files.columns import ColumnsError, layout_of, shown
from gatepost_operations.files.formats import CsvFile, JsonLinesFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gatepost_core.campaigns.row_parser import Layout

_ROWS: Final = 100
_PROOF: Final = 10
_ADDRESS: Final = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")
# Other numbers may be identifiers or amounts.
_NUMBER: Final = re.compile(r"(?:\+|00|tel:|\(|0[1-9])[\d\s()./-]{5,}|\d[\d./-]*[ /-][\d ./-]{4,}", re.IGNORECASE)
_ANY_LINE: Final = NumberRules(allow_landlines=True)


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The values of a file's first rows.

    Attributes:
        chosen: the values of each field for recipients.
        others: the values of the other columns, by name and position.
    """

    chosen: Mapping[Field, Sequence[str]]
    others: Mapping[tuple[str, int], Sequence[str]]

    def refuse_unclear_columns(self, channel: Channel, mapping: Mapping[Field, str], region: str | None) -> None:
        """Refuse a file in which a column of addresses or numbers was not chosen.

        Raises:
            ColumnsError: the message names the column and the option that settles it.
        """
        if any(field in mapping for field in RECIPIENT_FIELDS):
            return
        for (name, place), values in self.others.items():
            field = _field_by_value(values, region)
            if field is None or field_of(name) is field or not _is_wanted(field, channel):
                continue
            column = shown(name, place)
            option = shlex.quote(f"{field}={name if column == name else f'#{place + 1}'}")
            content = "addresses" if field is Field.EMAIL else "phone numbers"
            channels = "" if channel is not Channel.AUTO else f", or a channel, such as --channel {_OTHER[field]}"
            raise ColumnsError(
                f"{column} contains {content}, but its name is unknown; choose a column (--column {option}){channels}"
            )

    def prove_national_numbers(self, region: str | None) -> bool:
        """Whether numbers without country code and prefix are national numbers of the region: at least ten can be nothing else, and none is not."""
        if region is None:
            return False
        values = chain(self.chosen.get(Field.PHONE_NUMBER, ()), self.chosen.get(Field.RECIPIENT, ()))
        found = [is_only_national(value, region) for value in values]
        return found.count(True) >= _PROOF and False not in found


_OTHER: Final = {Field.EMAIL: "sms", Field.PHONE_NUMBER: "email"}


def first_rows(
    opened: CsvFile | JsonLinesFile, mapping: Mapping[Field, str]
) -> tuple[FirstRows, CsvFile | JsonLinesFile]:
    """Read the first rows of a file, and return their values and the file with all its records."""
    taken: list[Any] = list(islice(opened.records, _ROWS))
    chosen: dict[Field, list[str]] = defaultdict(list)
    others: dict[tuple[str, int], list[str]] = defaultdict(list)
    for _, record in taken:
        if isinstance(opened, CsvFile) and isinstance(record, list):
            _note(opened.names, opened.layout, record, chosen, others)
        elif isinstance(record, dict):
            try:
                layout = layout_of(tuple(record), mapping, all_mapped=False)
            except ColumnsError:
                continue
            _note(tuple(record), layout, [*record.values()], chosen, others)
    records: Iterator[Any] = chain(taken, opened.records)
    whole = replace(opened, records=records) if isinstance(opened, CsvFile) else JsonLinesFile(records)
    return FirstRows(chosen, others), whole


def _note(
    names: Sequence[str],
    layout: Layout,
    cells: Iterable[Any],
    chosen: dict[Field, list[str]],
    others: dict[tuple[str, int], list[str]],
) -> None:
    fields = {place: field for field, place in layout.places.items()}
    # The file whose invalid rows these are was clear.
    is_reject_file = set(ERROR_COLUMNS) <= set(names)
    for place, (name, cell) in enumerate(zip(names, cells, strict=False)):
        text = cell.strip() if isinstance(cell, str) else ""
        if not text:
            continue
        if place in fields:
            chosen[fields[place]].append(text)
        elif not is_reject_file:
            others[name.strip(), place].append(text)


def _field_by_value(values: Sequence[str], region: str | None) -> Field | None:
    if sum(map(bool, map(_ADDRESS.fullmatch, values))) * 2 >= len(values):
        return Field.EMAIL
    if sum(_is_number(value, region) for value in values) * 2 >= len(values):
        return Field.PHONE_NUMBER
    return None


def _is_number(value: str, region: str | None) -> bool:
    if not _NUMBER.fullmatch(value):
        return False
    try:
        read_phone(value, region, _ANY_LINE)
    except InvalidValue:
        return False
    return True


def _is_wanted(field: Field, channel: Channel) -> bool:
    other = Identifier.PHONE_NUMBER if field is Field.EMAIL else Identifier.EMAIL
    return channel.identifier is not other
