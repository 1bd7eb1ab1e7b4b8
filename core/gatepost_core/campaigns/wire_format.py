"""How states, reasons and a row's record are written in Redis: a byte each, because there are millions of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gatepost_core.doubt import rule_in_lua
from gatepost_core.errors import SealError
from gatepost_core.reasons import BY_CODE, IMPLIED, Reason
from gatepost_core.states import OPEN_STATES, Outlook, State, states_in_lua

if TYPE_CHECKING:
    from collections.abc import Iterable

STATES: Final = {ord(state.char): state for state in State}

_RECORD: Final = struct.Struct("<BBHBI")
RECORD_BYTES: Final = _RECORD.size


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a row beside its state, unless it was simply accepted."""

    row: int
    reason: Reason | None = None
    http_status: int | None = None
    attempts: int = 0
    at_s: int = 0

    def pack(self) -> bytes:
        """Return the record as it is stored."""
        code = 0 if self.reason is None else self.reason.code
        return _RECORD.pack(self.row, code, self.http_status or 0, min(self.attempts, 255), self.at_s)

    @property
    def at(self) -> datetime | None:
        """When it was written."""
        return datetime.fromtimestamp(self.at_s, UTC) if self.at_s else None


def unpack_records(details: bytes) -> dict[int, Record]:
    """Return a batch's records by row."""
    records = (
        Record(row, BY_CODE.get(code), status or None, attempts, at)
        for row, code, status, attempts, at in _RECORD.iter_unpack(details)
    )
    return {record.row: record for record in records}


def check_stored(states: bytes, details: bytes, rows: int) -> None:
    """Make sure that what is stored of a batch fits together.

    Raises:
        SealError: a state or a reason is unknown, or there are more or fewer of them than rows.
    """
    if len(states) != rows or not set(states) <= STATES.keys():
        raise SealError("The states of a batch do not match its rows.")
    try:
        records = unpack_records(details)
    except struct.error:
        raise SealError("The states of a batch cannot be read.") from None
    if any(row >= rows for row in records):
        raise SealError("The states of a batch do not match its rows.")


def lua_constants() -> str:
    """Return the states, the tables of states and reasons, and the rule of doubt as Lua. A script writes a row's state as its letter."""
    names = ", ".join(f"{state.char} = '{state.value}'" for state in State)
    terminal = ", ".join(f"{state.char} = true" for state in State if state.is_terminal)
    codes = ", ".join(f"{reason.value} = {reason.code}" for reason in Reason)
    doubts = ", ".join(f"[{reason.code}] = true" for reason in Reason if reason.doubt)
    implied = ", ".join(f"{state.char} = {reason.code}" for state, reason in IMPLIED.items())
    waiting = _chars(state for state in State if state.outlook is Outlook.WAITING)
    tables = {
        "NAME": f"{{ {names} }}",
        "TERMINAL": f"{{ {terminal} }}",
        "CODE": f"{{ {codes} }}",
        "DOUBT": f"{{ {doubts} }}",
        "IMPLIED": f"{{ {implied} }}",
        "WAITING": f"'[{waiting}]'",
        "OPEN": f"'[{_chars(OPEN_STATES)}]'",
        "NOT_A_STATE": f"'[^{_chars(State)}]'",
        "OPEN_FIELDS": _fields(OPEN_STATES),
        "FAILURE_FIELDS": _fields(state for state in State if state.counts_as_failure),
    }
    constants = "".join(f"local {name} = {value}\n" for name, value in tables.items())
    return states_in_lua(_letter) + constants + rule_in_lua(_letter)


def _letter(state: State) -> str:
    return state.char


def _chars(states: Iterable[State]) -> str:
    return "".join(state.char for state in states)


def _fields(states: Iterable[State]) -> str:
    return "{ " + ", ".join(f"'{state.value}'" for state in states) + " }"
