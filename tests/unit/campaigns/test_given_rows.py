"""Rows made by a program become the rows that a file would give, or are refused with the field's name and no value."""

from __future__ import annotations

import copy
import io
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.campaigns.row_validation import checked_rows
from gatepost.errors import InvalidCommand
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.number_rules import number_rules
from gatepost_operations.files.rows import RowError, read_rows

E, S = Channel.EMAIL, Channel.SMS


def one(row: Any) -> Row:
    (checked,) = checked_rows([row])
    return checked


@pytest.mark.parametrize(
    ("row", "normal"),
    [
        (Row(1, E, " Ana@Example.COM\n"), Row(1, E, "ana@example.com")),
        (Row(1, S, "+49 151 / 1234-5678"), Row(1, S, "+4915112345678")),
        (Row(1, E, "ana@example.com", "pt_BR"), Row(1, E, "ana@example.com", "pt-BR")),
        (Row(1, E, "ana@example.com", "", " ", ""), Row(1, E, "ana@example.com")),
        (Row(1, E, "ana@example.com", None, "2001:DB8::1"), Row(1, E, "ana@example.com", None, "2001:db8::1")),
        (
            Row(1, E, "ana@example.com", auth_params='{"state": "x", "scope": "openid"}'),
            Row(1, E, "ana@example.com", auth_params='{"scope":"openid","state":"x"}'),
        ),
        (Row(1, "email", "ana@example.com"), Row(1, E, "ana@example.com")),  # type: ignore[arg-type] # a plain string is what JSON gives
    ],
)
def test_a_row_is_brought_into_its_normal_form(row: Row, normal: Row) -> None:
    """They are normalised as in a file, so two spellings are one recipient."""
    checked = one(row)

    assert checked == normal
    assert checked.kind is normal.kind


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (Row(1, E, "secret.example.com"), "email"),
        (Row(1, E, "sec\nret@example.com"), "email"),
        (Row(1, E, "sec\udcffret@example.com"), "email"),
        (Row(1, E, ""), "email"),
        (Row(1, E, b"secret@example.com"), "email"),  # type: ignore[arg-type] # what a program may give all the same, as below
        (Row(1, E, "+4915112345678"), "email"),
        (Row(1, S, "secret@example.com"), "phone_number"),
        (Row(1, S, "+1511 secret, or none"), "phone_number"),
        (Row(1, S, 4915112345678), "phone_number"),  # type: ignore[arg-type]
        (Row(1, S, "4.91511E+12"), "phone_number"),
        (Row(1, E, "ana@example.com", "secret\r\nX: y"), "language"),
        (Row(1, E, "ana@example.com", 7), "language"),  # type: ignore[arg-type]
        (Row(1, E, "ana@example.com", None, "secret"), "client_ip"),
        (Row(1, E, "ana@example.com", None, None, "[secret"), "auth_params"),
        (Row(1, E, "ana@example.com", None, None, '["secret"]'), "auth_params"),
        (Row(1, E, "ana@example.com", None, None, '{"secret":"\udcff"}'), "auth_params"),
        (Row(1, E, "ana@example.com", None, None, {"secret": object()}), "auth_params"),  # type: ignore[arg-type]
        (Row(1, "secret", "ana@example.com"), "kind"),  # type: ignore[arg-type]
        (Row(1, Channel.AUTO, "ana@example.com"), "kind"),  # type: ignore[arg-type]
        (Row(1, [], "ana@example.com"), "kind"),  # type: ignore[arg-type]
        (RowError(1, "email", "is missing"), "row"),
        ({"email": "secret@example.com"}, "row"),
    ],
)
def test_a_bad_row_is_refused_by_the_name_of_its_field(row: Any, field: str) -> None:
    """The error names the row's number and contains none of its values."""
    with pytest.raises(InvalidCommand) as raised:
        list(checked_rows([Row(1, E, "bob@example.com"), row]))

    assert [problem.field for problem in raised.value.problems] == [field]
    assert str(raised.value).startswith(f"{field}: ")
    assert "(row 2 of those given)" in str(raised.value)
    assert not any(part in str(raised.value) for part in ("secret", "1511", "ana@"))
    assert raised.value.__cause__ is None


def test_what_a_reader_made_goes_through_as_it_is() -> None:
    """A row is checked once: the very object comes out."""
    with read_rows(io.BytesIO(b"email,language\nana@example.com,fr\n")) as reader:
        rows = [row for row in reader if isinstance(row, Row)]

    assert [row.is_read for row in rows] == [True]
    assert all(out is row for out, row in zip(checked_rows(rows), rows, strict=True))


def test_a_changed_copy_is_checked_again() -> None:
    """A changed copy of a file's row is checked again."""
    with read_rows(io.BytesIO(b"email\nana@example.com\n")) as reader:
        (row,) = reader
    assert isinstance(row, Row)
    copies = [replace(row), copy.copy(row), copy.deepcopy(row), pickle.loads(pickle.dumps(row))]  # noqa: S301 - our own

    assert [one.is_read for one in copies] == [False] * 4
    assert copies == [row] * 4
    with pytest.raises(InvalidCommand, match="email: is not an e-mail address"):
        list(checked_rows([replace(row, recipient="absent")]))


CELLS = st.one_of(
    st.text(max_size=12), st.sampled_from(["Ana@Example.com", "+4915112345678", "fr", "pt_BR", "192.0.2.7", "{}"])
)


@given(st.sampled_from([E, S]), CELLS, CELLS, CELLS, CELLS)
def test_a_file_and_a_program_are_judged_alike(
    kind: Channel, recipient: str, language: str, address: str, params: str
) -> None:
    """The same values as a line of JSON give the same row, or the same error."""
    column = "email" if kind is E else "phone_number"
    cells = {column: recipient, "language": language, "client_ip": address, "auth_params": params}
    with read_rows(io.BytesIO(json.dumps(cells).encode()), channel=kind) as reader:
        (from_file,) = reader
    made = Row(1, kind, recipient, language, address, params)  # type: ignore[arg-type] # one of the two it may be
    try:
        from_program: Row | tuple[str, str] = one(made)
    except InvalidCommand as refused:
        (problem,) = refused.problems
        from_program = problem.field, problem.problem.removesuffix(" (row 1 of those given)")

    if isinstance(from_file, RowError):
        assert from_program == (from_file.field, from_file.problem)
    else:
        assert from_program == from_file


def test_rows_of_a_program_follow_the_rules_of_the_call() -> None:
    """A land line, and a number of a range that the plan does not know, are accepted on request."""
    rows = [Row(1, S, "+44 20 7946 0991"), Row(2, S, "+1 999 555 0123")]

    assert [row.recipient for row in checked_rows(rows, number_rules("length", allow_landlines=True))] == [
        "+442079460991",
        "+19995550123",
    ]
    with pytest.raises(InvalidCommand, match="cannot receive SMS"):
        list(checked_rows(rows))
    with pytest.raises(InvalidCommand, match="numbers: must be one of plan, length"):
        number_rules("guess", allow_landlines=False)
