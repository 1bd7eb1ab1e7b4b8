"""Converts the text of a cell to the value for a command."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from gatepost_core.campaigns.row import MESSAGE_FIELDS, Field
from gatepost_core.commands import IN_REQUEST, SendEmail
from gatepost_core.errors import InvalidValue
from gatepost_core.identifiers import normalise_email, normalise_phone
from gatepost_core.invisible_characters import stripped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost_core.number_rules import NumberRules

LONGEST_AUTH_PARAMS: Final = 8_192
"""Most characters of the JSON text."""

# Beginnings that a spreadsheet reads as a formula. Exports put an apostrophe before them, which is not part of the value:
# https://owasp.org/www-community/attacks/CSV_Injection
_GUARDED: Final = ("'=", "'+", "'-", "'@", "'\t", "'\r")
_UNDECODED: Final = re.compile("[\ud800-\udfff\ufffd]")
_SPREADSHEET_NUMBER: Final = re.compile(r"\+?\d+(?:[.,]\d+)?[Ee]\+?\d+|\+?\d{5,}[.,]0+")
_NUMBER_FIELDS: Final = frozenset({Field.PHONE_NUMBER, Field.RECIPIENT})
_NO_LANGUAGE: Final = frozenset(
    {
        *(
            "none",
            "null",
            "nil",
            "nan",
            "na",
            "n/a",
            "#n/a",
            "-",
            "--",
            "\u2013",
            "?",
            "unknown",
            "undefined",
            "undetermined",
            "und",
        ),
        *("default", "not set", "unset", "empty", "(none)", "(null)", "(blank)", "blank", "<null>", "no language"),
    }
)
# The rules of the command, so that a valid row makes a valid command.
_ANNOTATIONS: Final[dict[str, Any]] = {field: SendEmail.model_fields[field].annotation for field in MESSAGE_FIELDS}
_VALIDATED: Final = {
    field: TypeAdapter(annotation).validator.validate_python for field, annotation in _ANNOTATIONS.items()
}


class BadValue(InvalidValue):
    """A value of a row, or the row itself, is invalid. The message never repeats the value.

    Attributes:
        field: the field of the value, or `row`.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


def unguarded(cell: str) -> str:
    """Return the cell without the apostrophe that an export puts before a formula."""
    return cell[1:] if cell.startswith(_GUARDED) else cell


def text_of(cell: Any, field: Field) -> str:
    """Return the cell's text without surrounding spaces and without the apostrophe of an export; empty for no value.

    Raises:
        BadValue: it is not text, or was not decoded.
    """
    if cell is None:
        return ""
    if not isinstance(cell, str):
        cell = _digits_of(cell, field)
    text = unguarded(cell) if cell.startswith("'") else cell
    if text.isascii():
        return text.strip()
    if _UNDECODED.search(text):
        raise BadValue(field, "contains characters that could not be decoded; check the file's encoding")
    return stripped(text)


def _digits_of(cell: Any, field: Field) -> str:
    """Return a whole number of JSON or of a spreadsheet as a phone number's digits. It has lost a plus and zeros in front."""
    if field in _NUMBER_FIELDS and isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    if field in _NUMBER_FIELDS and isinstance(cell, float):
        raise BadValue(field, "is a decimal number, which may have lost digits; write it as text")
    raise BadValue(field, "must be text, in quotation marks")


def email_of(text: str, field: Field) -> str:
    """Return the normalised address.

    Raises:
        BadValue: it is not an address.
    """
    try:
        return normalise_email(text)
    except ValueError as problem:
        raise BadValue(field, str(problem)) from None


def phone_of(text: str, field: Field, region: str | None, rules: NumberRules | None) -> str:
    """Return the number in E.164. See `normalise_phone`.

    Raises:
        BadValue: it is not a number, or a spreadsheet has turned it into something else.
    """
    if _SPREADSHEET_NUMBER.fullmatch(text):
        raise BadValue(field, "was changed by a spreadsheet; format the column as text and enter it again")
    try:
        return normalise_phone(text, region, rules)
    except ValueError as problem:
        raise BadValue(field, str(problem)) from None


@lru_cache(maxsize=1024)
def message_value_of(text: str, field: Field) -> str | None:
    """Return a field of the message in its plain form, or None for what programs write for a language that is not known.

    Raises:
        BadValue: the command would refuse it.
    """
    if field is Field.LANGUAGE and text.casefold() in _NO_LANGUAGE:
        return None
    try:
        return str(_VALIDATED[field](text))
    except ValidationError:
        raise BadValue(field, IN_REQUEST[field].flaw_of(text)) from None


def auth_params_of(cell: Any, parameters: Iterable[tuple[str, str]]) -> str | None:
    """Return authParams as compact JSON with sorted keys, or None when there are none.

    Args:
        cell: the `auth_params` cell: a JSON object, or its text.
        parameters: names and values of the `authParams.NAME` cells; empty values do not count.

    Raises:
        BadValue: the cell is not a JSON object, it is too long, or a name is given twice.
    """
    document = _object_of(cell)
    for name, value in parameters:
        if value and document.setdefault(name, value) is not value:
            raise BadValue(
                Field.AUTH_PARAMS,
                "has the same parameter in the JSON object and in an authParams.NAME column; remove one",
            )
    if not document:
        return None
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except ValueError:
        raise BadValue(Field.AUTH_PARAMS, "contains a number that is not valid in JSON, such as NaN") from None
    if _UNDECODED.search(text):
        raise BadValue(Field.AUTH_PARAMS, "contains characters that could not be decoded; check the file's encoding")
    return _short(text)


def _object_of(cell: Any) -> dict[str, Any]:
    if isinstance(cell, dict):
        return dict(cell)
    text = _short(text_of(cell, Field.AUTH_PARAMS))
    try:
        document = from_json(text) if text else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise BadValue(Field.AUTH_PARAMS, "is not a JSON object")
    return document


def _short(text: str) -> str:
    if len(text) > LONGEST_AUTH_PARAMS:
        raise BadValue(Field.AUTH_PARAMS, f"is longer than {LONGEST_AUTH_PARAMS:,} characters")
    return text
