"""The stored form of states, reasons and records of rows: a byte each, because there are millions."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gatepost_core.errors import SealError
from gatepost_core.reasons import BY_CODE, Reason
from gatepost_core.states import State

STATES: Final = {ord(state.char): state for state in State}

_RECORD: Final = struct.Struct("<BBHBI")
RECORD_BYTES: Final = _RECORD.size


@dataclass(frozen=True, slots=True)
class Record:
    """The details of a row. A row that was accepted at the first attempt has none."""

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
        """The time at which it was written."""
        return datetime.fromtimestamp(self.at_s, UTC) if self.at_s else None


def unpack_records(details: bytes) -> dict[int, Record]:
    """Return a batch's records by row."""
    records = (
        Record(row, BY_CODE.get(code), status or None, attempts, at)
        for row, code, status, attempts, at in _RECORD.iter_unpack(details)
    )
    return {record.row: record for record in records}


def check_stored(states: bytes, details: bytes, rows: int) -> None:
    """Check that the stored states and records fit a batch's rows.

    Raises:
        SealError: a state is unknown, a record cannot be read, or their number differs from the rows'.
    """
    if len(states) != rows or not set(states) <= STATES.keys():
        raise SealError("The states of a batch do not match its rows.")
    try:
        records = unpack_records(details)
    except struct.error:
        raise SealError("The states of a batch cannot be read.") from None
    if any(row >= rows for row in records):
        raise SealError("The states of a batch do not match its rows.")
