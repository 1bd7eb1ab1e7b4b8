"""How states, reasons and a row's record are written in Redis: a byte each, because there are millions of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gatepost_core.errors import SealError
from gatepost_core.states import Reason, State

STATE_CHARS: Final[dict[State, str]] = {
    State.QUEUED: "q",
    State.IN_FLIGHT: "f",
    State.DEFERRED: "d",
    State.ACCEPTED: "a",
    State.REJECTED: "r",
    State.EXHAUSTED: "x",
    State.EXPIRED: "e",
    State.SUPPRESSED: "s",
    State.CANCELLED: "c",
    State.UNKNOWN: "u",
}
STATES: Final = {ord(char): state for state, char in STATE_CHARS.items()}

# Stored for as long as campaigns live: a number is never given to another reason.
REASON_CODES: Final[dict[Reason, int]] = {
    Reason.RECIPIENT_REJECTED: 1,
    Reason.SIGNUP_DISABLED: 2,
    Reason.PROVIDER_REJECTED_RECIPIENT: 3,
    Reason.REQUEST_REJECTED: 4,
    Reason.CONNECTION_MISCONFIGURED: 5,
    Reason.PROVIDER_MISCONFIGURED: 6,
    Reason.TENANT_MISCONFIGURED: 7,
    Reason.CLIENT_REJECTED: 8,
    Reason.CLIENT_NOT_AUTHORIZED: 9,
    Reason.CAPTCHA_REQUIRED: 10,
    Reason.CODE_REJECTED: 11,
    Reason.CODE_EXPIRED: 12,
    Reason.CODE_ATTEMPTS_EXHAUSTED: 13,
    Reason.MFA_REQUIRED: 14,
    Reason.ACCESS_DENIED: 15,
    Reason.TOO_MANY_ATTEMPTS: 16,
    Reason.DPOP_REQUIRED: 17,
    Reason.ENDPOINT_DISABLED: 18,
    Reason.ANSWER_NOT_UNDERSTOOD: 19,
    Reason.TOKEN_INVALID: 20,
    Reason.TOKEN_NOT_VERIFIED: 21,
    Reason.CREDENTIAL_MISSING: 22,
    Reason.REFUSED_BY_AUTH0: 23,
    Reason.NOT_REACHED: 30,
    Reason.DEADLINE_PASSED: 31,
    Reason.ANSWER_LOST: 40,
    Reason.SERVER_FAILED: 41,
    Reason.PROVIDER_SILENT: 42,
    Reason.WORKER_LOST: 43,
    Reason.BACKUP_RESTORED: 44,
    Reason.CANCELLED_BY_CALLER: 50,
    Reason.ON_SUPPRESSION_LIST: 51,
    Reason.NOT_ON_GUEST_LIST: 52,
}
REASONS: Final = {code: reason for reason, code in REASON_CODES.items()}

IMPLIED: Final[dict[State, Reason]] = {
    State.CANCELLED: Reason.CANCELLED_BY_CALLER,
    State.EXPIRED: Reason.DEADLINE_PASSED,
    State.UNKNOWN: Reason.BACKUP_RESTORED,
}
"""The reason of a row in this state that has no record, or one without a reason."""

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
        code = 0 if self.reason is None else REASON_CODES[self.reason]
        return _RECORD.pack(self.row, code, self.http_status or 0, min(self.attempts, 255), self.at_s)

    @property
    def at(self) -> datetime | None:
        """When it was written."""
        return datetime.fromtimestamp(self.at_s, UTC) if self.at_s else None


def unpack_records(details: bytes) -> dict[int, Record]:
    """Return a batch's records by row."""
    records = (
        Record(row, REASONS.get(code), status or None, attempts, at)
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
    """Return the same tables for the scripts."""
    names = ", ".join(f"{char} = '{state.value}'" for state, char in STATE_CHARS.items())
    codes = ", ".join(f"{reason.value} = {code}" for reason, code in REASON_CODES.items())
    implied = ", ".join(f"{STATE_CHARS[state]} = {REASON_CODES[reason]}" for state, reason in IMPLIED.items())
    return f"local NAME = {{ {names} }}\nlocal CODE = {{ {codes} }}\nlocal IMPLIED = {{ {implied} }}\n"
