"""How the ledger's records and the replies of its script are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gatepost_core.blocks import read_block
from gatepost_core.errors import CorruptRecord, NothingToRedeem, OperationNotFound
from gatepost_core.kinds import Kind
from gatepost_core.ledger.values import Answer, Verdict
from gatepost_core.outcomes import Outcome
from gatepost_core.reasons import Reason
from gatepost_core.redis.errors import READING
from gatepost_core.redis.stored_values import as_text, moment
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTCOME_FIELDS: Final = (
    "kind", "state", "reason", "detail", "http_status", "attempts", "created", "updated", "deadline", "blocked",
)  # fmt: skip
"""The fields of a record that make an outcome."""
# Raised by values that are not a number, a known name, text or a time.
_UNREADABLE: Final = (ValueError, LookupError, OverflowError, OSError)


def redeemed(reply: Sequence[str]) -> str:
    """Return the sealed result from the script's reply.

    Raises:
        OperationNotFound: the operation was never recorded, or its record has expired.
        NothingToRedeem: there is no result.
    """
    if reply[0] == "missing":
        raise OperationNotFound
    if reply[0] != "redeemed":
        raise NothingToRedeem
    return reply[1]


def outcome_of(operation_id: str, values: Sequence[Any]) -> Outcome:
    """Read an operation's record.

    Args:
        operation_id: which operation.
        values: its `OUTCOME_FIELDS`, as HMGET gives them.

    Raises:
        OperationNotFound: the record is empty.
        CorruptRecord: it is damaged or of another version.
    """
    try:
        return _outcome_of(operation_id, values)
    except _UNREADABLE:
        raise CorruptRecord(f"The operation's record is damaged or of another version. {READING}") from None


def _outcome_of(operation_id: str, values: Sequence[Any]) -> Outcome:
    fields = {name: as_text(value) for name, value in zip(OUTCOME_FIELDS, values, strict=True) if value is not None}
    if "state" not in fields:
        raise OperationNotFound
    return Outcome(
        operation_id=operation_id,
        kind=Kind(fields["kind"]),
        state=State(fields["state"]),
        reason=Reason(fields["reason"]) if fields.get("reason") else None,
        detail=fields.get("detail") or None,
        http_status=int(fields["http_status"]) if fields.get("http_status") else None,
        attempts=int(fields["attempts"]),
        created_at=moment(fields["created"]),
        updated_at=moment(fields["updated"]),
        deadline=moment(fields["deadline"]),
        blocked=read_block(fields.get("blocked", "")),
    )


def answer_of(reply: Sequence[str]) -> Answer:
    """Read the script's reply.

    Raises:
        CorruptRecord: the record behind it is damaged or of another version.
    """
    try:
        return _read_answer(reply)
    except _UNREADABLE:
        raise CorruptRecord("The operation's record is damaged or of another version.") from None


def _read_answer(reply: Sequence[str]) -> Answer:
    match reply:
        case ["begun", attempts, left, doubt]:
            why = Reason(doubt) if doubt else None
            return Answer(Verdict.BEGUN, attempts=int(attempts), left_ms=int(left), doubt=why)
        case ["finished", state, reason, detail]:
            why = Reason(reason) if reason else None
            return Answer(Verdict.FINISHED, state=State(state), reason=why, detail=detail or None)
        case [("busy" | "early") as verdict, wait]:
            return Answer(Verdict(verdict), wait_ms=int(wait))
        case ["publish", kind]:
            return Answer(Verdict.PUBLISH, kind=Kind(kind))
        case [verdict]:
            return Answer(Verdict(verdict))
        case _:
            raise CorruptRecord("The ledger's script answered in an unknown form.")
